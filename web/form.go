package web

import (
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/resetflow/resetflow/workflow"
)

// maxBody bounds a form; the largest honest one is a long password, escaped.
const maxBody = 16 << 10

// errCookies says that the browser did not bring the cookie of the form.
var errCookies = errors.New("web: the browser kept no cookie")

// form reads a POST: from our origin, with the form token, form-urlencoded,
// every field at most once. The query never counts: http's own form parsing
// would merge it in.
func (v *visit) form() (url.Values, error) {
	f, err := v.readForm()
	if err != nil {
		return nil, err
	}
	if !v.kept {
		return nil, errCookies
	}
	if !v.formTokenFits(f.Get("form")) {
		return nil, workflow.Fail(workflow.CodeForbidden, errors.New("web: form token missing or of another cookie"))
	}
	return f, nil
}

// codeForm is form for the one page that works without cookies: there the
// typed code itself is what authorises, and the browser must say that the form
// was ours.
func (v *visit) codeForm() (url.Values, error) {
	if v.kept {
		return v.form()
	}
	f, err := v.readForm()
	if err != nil {
		return nil, err
	}
	h := v.Request().Header
	if f.Get("code") == "" || (h.Get("Origin") == "" && h.Get("Sec-Fetch-Site") != "same-origin") {
		return nil, errCookies
	}
	return f, nil
}

func (v *visit) readForm() (url.Values, error) {
	r := v.Request()
	if err := v.checkOrigin(); err != nil {
		return nil, err
	}
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	charset := strings.ToLower(params["charset"])
	if err != nil || kind != "application/x-www-form-urlencoded" || r.Header.Get("Content-Encoding") != "" ||
		(charset != "" && charset != "utf-8") {
		return nil, workflow.Fail(workflow.CodeUnsupportedMediaType, nil)
	}
	body, err := io.ReadAll(http.MaxBytesReader(v.Response(), r.Body, maxBody))
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return nil, workflow.Fail(workflow.CodeBodyTooLarge, nil)
	}
	if err != nil {
		return nil, workflow.Fail(workflow.CodeInvalidJSON, errors.New("web: the body broke off"))
	}
	f, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, workflow.Fail(workflow.CodeInvalidJSON, errors.New("web: the form is not form-urlencoded"))
	}
	for name, values := range f {
		if len(values) != 1 || !utf8.ValidString(name) || !utf8.ValidString(values[0]) {
			return nil, workflow.Fail(workflow.CodeInvalidJSON, errors.New("web: a field twice, or not UTF-8"))
		}
	}
	return f, nil
}

// checkOrigin refuses forms of other sites. Browsers without Origin are held
// to Sec-Fetch-Site where they send it, and to the form token.
func (v *visit) checkOrigin() error {
	h := v.Request().Header
	refused := workflow.Fail(workflow.CodeOriginNotAllowed, nil)
	if site := h.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" && site != "none" {
		return refused
	}
	origins := h.Values("Origin")
	switch {
	case len(origins) == 0:
		return nil
	case len(origins) == 1 && v.ownOrigin(strings.ToLower(origins[0])):
		return nil
	}
	return refused
}

// ownOrigin reports whether the pages are served from origin: the public URL,
// or a host mapped to this application.
func (v *visit) ownOrigin(origin string) bool {
	if origin == v.s.origin {
		return true
	}
	for _, host := range v.app.Hosts {
		host = strings.ToLower(host)
		if origin == "https://"+host {
			return true
		}
		if v.s.secure { // plain http and odd ports only where the installation is a local trial
			continue
		}
		if u, err := url.Parse(origin); err == nil && u.Scheme == "http" && u.Path == "" {
			if h, _, err := net.SplitHostPort(u.Host); u.Host == host || (err == nil && h == host) {
				return true
			}
		}
	}
	return false
}
