// Package web serves the hosted pages: what people see who forgot their password.
//
// Rules that hold on every page:
//
//   - A GET or HEAD changes nothing but the browser's own cookie, so that mail
//     scanners, previews and prefetching cannot use a code up.
//   - A code in the address bar is moved into a sealed cookie at once, and the
//     browser is sent on to the clean address. No page holds a code.
//   - A POST is taken from our own origin only, with a form token that is bound
//     to the cookie, and with its fields in the body, each at most once.
//   - A page looks nobody up. It says the same for every address, because the
//     engine does.
//   - Pages work without scripts; the one small script only adds to them.
//
// The same routes stand below /apps/{slug} and at the root of a mapped host.
package web
