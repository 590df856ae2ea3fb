// Package notify hands mails to the outside over SMTP.
//
// [Sender] is the one that delivers, everywhere: `serve` talks to the mail
// server of smtp.url, `demo` to [Inbox], a mail server of this process that
// keeps what it gets for the page at /dev/inbox. So the development inbox shows
// what really crossed a wire.
//
// Three rules hold for every delivery:
//
//   - Exactly one recipient, the stored address, and it is checked again here.
//   - TLS is required and verified unless the operator wrote tls=off; a password
//     never crosses a connection without TLS.
//   - Every verb has a deadline. A message counts as sent once the server has
//     answered 250 to its end, whatever happens to the connection afterwards;
//     before that, nothing is assumed.
package notify
