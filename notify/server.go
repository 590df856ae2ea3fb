package notify

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
)

// Security says how a connection is protected.
type Security string

// The ways to protect a connection.
const (
	StartTLS    Security = "starttls" // required, never opportunistic
	ImplicitTLS Security = "tls"
	Plain       Security = "off" // an explicit choice
)

// Server is a mail server to hand mails to.
type Server struct {
	Host     string // name or address; the certificate must be for it
	Port     int
	Security Security
	Username string // "" without AUTH
	Password string
}

// Address is host:port.
func (s Server) Address() string { return net.JoinHostPort(s.Host, strconv.Itoa(s.Port)) }

// String writes s without its password, for logs.
func (s Server) String() string {
	return fmt.Sprintf("%s (%s)", s.Address(), s.Security)
}

// GoString is String: a password must not leak through %#v either.
func (s Server) GoString() string { return s.String() }

// ParseURL reads smtp.url:
//
//	smtp://user:password@host:587   STARTTLS required (default port 587)
//	smtps://user:password@host:465  TLS from the first byte (default port 465)
//	smtp://host:25?tls=off          in clear (default port 25), without AUTH
//
// Errors never repeat the URL, because it may hold a password.
func ParseURL(raw string) (Server, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return Server{}, errors.New("smtp.url is not a URL; write smtp://user:password@host:587 and percent-encode special characters of the password")
	}
	s := Server{Host: u.Hostname()}
	switch u.Scheme {
	case "smtp":
		s.Security, s.Port = StartTLS, 587
	case "smtps":
		s.Security, s.Port = ImplicitTLS, 465
	default:
		return Server{}, errors.New("smtp.url must begin with smtp:// or smtps://")
	}
	if s.Host == "" || strings.ContainsAny(s.Host, " \t\r\n") {
		return Server{}, errors.New("smtp.url names no host; write smtp://host:587")
	}
	if u.Path != "" && u.Path != "/" || u.Fragment != "" {
		return Server{}, errors.New("smtp.url ends after the port; remove what follows it")
	}
	if err := s.readOptions(u); err != nil {
		return Server{}, err
	}
	if p := u.Port(); p != "" {
		n, err := strconv.Atoi(p)
		if err != nil || n < 1 || n > 65535 {
			return Server{}, errors.New("the port of smtp.url is not a number from 1 to 65535")
		}
		s.Port = n
	}
	return s, s.readUser(u.User)
}

func (s *Server) readOptions(u *url.URL) error {
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return errors.New("the options of smtp.url cannot be read; the only one is ?tls=off")
	}
	for name, values := range query {
		if name != "tls" || len(values) != 1 || values[0] != "off" {
			return errors.New("smtp.url has an unknown option; the only one is ?tls=off")
		}
		if s.Security == ImplicitTLS {
			return errors.New("smtps:// and tls=off in smtp.url contradict each other; choose one")
		}
		s.Security, s.Port = Plain, 25
	}
	return nil
}

func (s *Server) readUser(user *url.Userinfo) error {
	if user == nil {
		return nil
	}
	s.Username = user.Username()
	s.Password, _ = user.Password()
	if s.Username == "" || s.Password == "" {
		return errors.New("smtp.url needs both user and password, or neither")
	}
	if s.Security == Plain {
		return errors.New("smtp.url has a password and tls=off; a password is only sent over TLS, so remove one of them")
	}
	return nil
}
