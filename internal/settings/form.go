package settings

import (
	"bytes"
	"encoding/base64"
	"errors"
	"net/mail"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/text/language"

	"github.com/resetflow/resetflow/workflow"
)

var (
	slugForm  = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$`)
	colorForm = regexp.MustCompile(`^#[0-9a-fA-F]{6}$`)
	labelForm = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	tagForm   = regexp.MustCompile(`^[A-Za-z0-9]{1,8}(-[A-Za-z0-9]{1,8})*$`)
	logoForm  = regexp.MustCompile(`^data:image/(png|webp|svg\+xml);base64,`)
)

func slug(s string) bool  { return slugForm.MatchString(s) }
func color(s string) bool { return colorForm.MatchString(s) }

// Locale reports whether s is a well-formed language tag (RFC 5646 §2.1). A
// well-formed tag nobody knows is fine: it falls back.
func Locale(s string) bool {
	if len(s) > 35 || !tagForm.MatchString(s) {
		return false
	}
	_, err := language.Parse(s)
	var unknown language.ValueError
	return err == nil || errors.As(err, &unknown)
}

// Mailbox reports whether s is one RFC 5322 mailbox that mail can be sent to,
// written without what a parser would drop (comments, groups, folding).
func Mailbox(s string) bool {
	if len(s) > 320 || !plain(s) {
		return false
	}
	a, err := mail.ParseAddress(s)
	if err != nil || !plain(a.Name) || !deliverable(a.Address) {
		return false
	}
	return s == a.Address || strings.HasSuffix(s, "<"+a.Address+">")
}

// maxURL bounds the length of an address: what every browser and mail program takes.
const maxURL = 2048

// absolute parses s as an absolute https address (http on loopback only) that
// every reader reads alike: no user, blanks, backslashes, controls or non-ASCII.
func absolute(s string) (*url.URL, bool) {
	if s == "" || len(s) > maxURL {
		return nil, false
	}
	for i := 0; i < len(s); i++ {
		if s[i] <= ' ' || s[i] > '~' || strings.IndexByte("\\\"<>^`|", s[i]) >= 0 {
			return nil, false
		}
	}
	u, err := url.Parse(s)
	if err != nil || u.Opaque != "" || u.User != nil || u.Host == "" || !strings.HasPrefix(s, u.Scheme+"://") {
		return nil, false
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())) {
		return nil, false
	}
	if !authority(u) {
		return nil, false
	}
	return u, true
}

// authority reports whether u's host is a DNS name or an IP address, and its port a port.
func authority(u *url.URL) bool {
	if strings.HasSuffix(u.Host, ":") {
		return false
	}
	if p := u.Port(); p != "" && !port(p) {
		return false
	}
	if _, err := netip.ParseAddr(u.Hostname()); err == nil {
		return true
	}
	return labels(strings.ToLower(u.Hostname()))
}

func port(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n > 0 && s == strconv.FormatUint(n, 10)
}

// labels reports whether s is a DNS name (RFC 1123 §2.1) of at most 253 bytes.
func labels(s string) bool {
	if len(s) > 253 {
		return false
	}
	parts := strings.Split(s, ".")
	for _, part := range parts {
		if !labelForm.MatchString(part) {
			return false
		}
	}
	// A last label of digits would be read as an IPv4 address by browsers.
	return strings.Trim(parts[len(parts)-1], "0123456789") != ""
}

func loopback(host string) bool {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.IsLoopback()
	}
	host = strings.ToLower(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

func redirectURL(s string) bool {
	u, ok := absolute(s)
	return ok && u.Fragment == "" && !strings.Contains(s, "#")
}

// linkURL reports whether s is an address with {code} once, behind the host.
func linkURL(s string) bool {
	const placeholder = "{code}"
	if strings.Count(s, placeholder) != 1 {
		return false
	}
	u, ok := absolute(strings.Replace(s, placeholder, "CODE", 1))
	if !ok || strings.ContainsAny(strings.Replace(s, placeholder, "", 1), "{}") {
		return false
	}
	return strings.Index(s, placeholder) > len(u.Scheme+"://"+u.Host)
}

// host reports whether s can be mapped to an application: a DNS name with a
// dot, or a loopback name, which alone may carry a port.
func host(s string) bool {
	name := s
	if before, after, ok := strings.Cut(s, ":"); ok {
		if !port(after) || !loopback(before) {
			return false
		}
		name = before
	}
	if loopback(name) {
		return name == strings.ToLower(name)
	}
	return labels(name) && strings.Contains(name, ".")
}

func origin(s string) bool {
	u, ok := absolute(s)
	return ok && s == strings.ToLower(u.Scheme+"://"+u.Host)
}

// maxLogo is the longest logo: it travels with every page.
const maxLogo = 24 << 10

func (r *reader) checkLogo(s string) {
	const path = "appearance.logo"
	if s == "" {
		return
	}
	if len(s) > maxLogo {
		r.refuse(path, workflow.VioTooLong, "max", strconv.Itoa(maxLogo))
		return
	}
	if !logo(s) {
		r.refuse(path, workflow.VioInvalidValue, "form", "data:image/png;base64,…, or webp or svg+xml")
	}
}

// logo reports whether s is a data URL (RFC 2397) whose bytes are what it says.
func logo(s string) bool {
	m := logoForm.FindStringSubmatch(s)
	if m == nil {
		return false
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(s[len(m[0]):])
	if err != nil || strings.ContainsAny(s, "\r\n") {
		return false
	}
	switch m[1] {
	case "png":
		return bytes.HasPrefix(raw, []byte("\x89PNG\r\n\x1a\n"))
	case "webp":
		return len(raw) > 12 && string(raw[:4]) == "RIFF" && string(raw[8:12]) == "WEBP"
	default:
		return bytes.Contains(raw, []byte("<svg"))
	}
}
