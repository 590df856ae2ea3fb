package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/resetflow/resetflow/workflow"
)

func boolean(to *bool, s string) error {
	if s != "true" && s != "false" {
		return fmt.Errorf("%q is neither true nor false", s)
	}
	*to = s == "true"
	return nil
}

func integer(to *int, s string, least, most int) error {
	n, err := strconv.Atoi(s)
	if err != nil || n < least || n > most {
		return fmt.Errorf("%q is not a whole number from %d to %d", s, least, most)
	}
	*to = n
	return nil
}

func duration(to *time.Duration, s string, least, most time.Duration) error {
	d, err := time.ParseDuration(s)
	switch {
	case err != nil:
		return fmt.Errorf("%q is not a duration such as 20s or 2160h", s)
	case d < least:
		return fmt.Errorf("%s is too short; at least %s", s, workflow.Duration(least))
	case d > most:
		return fmt.Errorf("%s is too long; at most %s", s, workflow.Duration(most))
	}
	*to = d
	return nil
}

// size reads a number of bytes with a binary unit.
func size(to *int64, s string, least, most int64) error {
	number, unit := s, int64(1)
	for suffix, factor := range map[string]int64{"KiB": kib, "MiB": mib, "GiB": 1 << 30} {
		if cut, ok := strings.CutSuffix(s, suffix); ok {
			number, unit = strings.TrimSpace(cut), factor
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 0 || n > most/unit || n*unit < least {
		return fmt.Errorf("%q is not a size such as 19MiB, from %dKiB to %dMiB", s, least/kib, most/mib)
	}
	*to = n * unit
	return nil
}

func oneOf(to *string, s string, allowed ...string) error {
	if !slices.Contains(allowed, s) {
		return fmt.Errorf("%q is not known; use %s", s, strings.Join(slices.DeleteFunc(allowed, func(a string) bool { return a == "" }), " or "))
	}
	*to = s
	return nil
}

// address reads HOST:PORT; an empty host means every interface.
func address(to *string, s string) error {
	_, port, err := net.SplitHostPort(s)
	if n, bad := strconv.ParseUint(port, 10, 16); err != nil || bad != nil || port != strconv.FormatUint(n, 10) {
		return fmt.Errorf("%q is not an address such as 127.0.0.1:8080 or :8080", s)
	}
	*to = s
	return nil
}

func networks(to *[]netip.Prefix, s string) error {
	var out []netip.Prefix
	for _, part := range strings.Split(s, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		p, err := netip.ParsePrefix(part)
		if err != nil {
			a, bad := netip.ParseAddr(part)
			if bad != nil || a.Zone() != "" {
				return fmt.Errorf("%q is neither a network such as 10.0.0.0/8 nor an address", part)
			}
			p = netip.PrefixFrom(a, a.BitLen())
		}
		if p.Bits() == 0 {
			return fmt.Errorf("%q trusts everybody, so that anybody could choose the address they come from; name your proxies", part)
		}
		out = append(out, p.Masked())
	}
	*to = out
	return nil
}

func publicURL(to *string, s string) error {
	if s == "" {
		*to = ""
		return nil
	}
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "" || u.Opaque != "" || (u.Scheme != "http" && u.Scheme != "https"):
		return fmt.Errorf("%q is not an address such as https://reset.example.com", s)
	case u.User != nil:
		return errors.New("must not hold a user or password; write it as https://reset.example.com")
	case u.Path != "" && u.Path != "/", u.RawQuery != "", u.Fragment != "", strings.ContainsAny(s, "?#"):
		return fmt.Errorf("%q must end after the host; write it as https://reset.example.com", s)
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return fmt.Errorf("%q must be https, because codes travel over it; http is for loopback only", s)
	}
	if p := u.Port(); strings.HasSuffix(u.Host, ":") || p != "" && !portNumber(p) {
		return fmt.Errorf("%q has no valid port", s)
	}
	*to = u.Scheme + "://" + strings.ToLower(u.Host)
	return nil
}

func portNumber(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n > 0
}

func loopback(host string) bool {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.IsLoopback()
	}
	host = strings.ToLower(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

func hostOf(publicURL string) string {
	u, err := url.Parse(publicURL)
	if err != nil || u.Hostname() == "" {
		return "localhost"
	}
	return u.Hostname()
}

// databaseURL never repeats s: it may hold a password.
func databaseURL(to *string, s string) error {
	path, isFile := strings.CutPrefix(s, "sqlite:")
	switch {
	case isFile && path != "":
	case strings.HasPrefix(s, "postgres://"), strings.HasPrefix(s, "postgresql://"):
		if u, err := url.Parse(s); err != nil || u.Host == "" && u.RawQuery == "" {
			return errors.New("not an address such as postgres://user@host/name; mend it (special characters in a password are written as %40)")
		}
	default:
		return errors.New("neither sqlite:PATH nor postgres://user@host/name; use one of the two forms")
	}
	*to = s
	return nil
}

const smtpForms = "use smtp://user:pass@host:587 (STARTTLS), smtps://… (TLS) or smtp://host:25?tls=off"

// smtpURL never repeats s: it holds a password.
func smtpURL(to *string, s string) error {
	if s == "" {
		*to = ""
		return nil
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "smtp" && u.Scheme != "smtps" || u.Hostname() == "" || u.Path != "" && u.Path != "/" || u.Fragment != "" {
		return errors.New("not the address of a mail server; " + smtpForms)
	}
	if p := u.Port(); strings.HasSuffix(u.Host, ":") || p != "" && !portNumber(p) {
		return errors.New("has no valid port; " + smtpForms)
	}
	for name, values := range u.Query() {
		if name != "tls" || len(values) != 1 || values[0] != "off" || u.Scheme != "smtp" {
			return errors.New("takes no parameter but tls=off, and that with smtp:// only; " + smtpForms)
		}
	}
	*to = s
	return nil
}

const minAdminToken = 32

func adminToken(to *string, s string) error {
	if s != "" && utf8.RuneCountInString(s) < minAdminToken {
		return fmt.Errorf("shorter than %d characters; make one with: openssl rand -base64 32", minAdminToken)
	}
	for i := 0; i < len(s); i++ {
		if s[i] <= ' ' || s[i] > '~' {
			return errors.New("holds a character that cannot stand in a header; make one with: openssl rand -base64 32")
		}
	}
	*to = s
	return nil
}
