package notify_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/resetflow/resetflow/notify"
)

func TestParseURL(t *testing.T) {
	for raw, want := range map[string]notify.Server{
		"smtp://u:p@mx.test":               {Host: "mx.test", Port: 587, Security: notify.StartTLS, Username: "u", Password: "p"},
		"smtp://u%40x.org:p%3A%2F@mx:2525": {Host: "mx", Port: 2525, Security: notify.StartTLS, Username: "u@x.org", Password: "p:/"},
		"smtps://mx.test/":                 {Host: "mx.test", Port: 465, Security: notify.ImplicitTLS},
		"smtp://mx.test?tls=off":           {Host: "mx.test", Port: 25, Security: notify.Plain},
		"smtp://[::1]:1025?tls=off":        {Host: "::1", Port: 1025, Security: notify.Plain},
	} {
		if got, err := notify.ParseURL(raw); err != nil || got != want {
			t.Errorf("%s: %+v, %v", raw, got, err)
		}
	}
}

func TestParseURLRefuses(t *testing.T) {
	for _, raw := range []string{"", "mx.test:587", "http://mx.test", "smtp://", "smtp://u:hunter2@", "smtp://u:hunter2@mx:99999", "smtp://u:hunter2@mx:0",
		"smtp://u:hunter2@mx?tls=off", "smtps://mx?tls=off", "smtp://mx?tls=on", "smtp://mx?tls=off&tls=off", "smtp://mx?insecure=1",
		"smtp://u@mx", "smtp://:hunter2@mx", "smtp://u:hunter2@mx/path", "smtp://u:hunter2@mx:port", "smtp://u:hunt%zzer2@mx", "smtp://mx\r\n.test"} {
		_, err := notify.ParseURL(raw)
		if err == nil {
			t.Errorf("%q was taken", raw)
		} else if strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "smtp") {
			t.Errorf("%q: %v", raw, err)
		}
	}
}

func TestServerHidesItsPassword(t *testing.T) {
	s, err := notify.ParseURL("smtp://u:hunter2@mx.test")
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{fmt.Sprint(s), fmt.Sprintf("%+v", s), fmt.Sprintf("%#v", s), fmt.Sprintf("%v", &s)} {
		if strings.Contains(text, "hunter2") {
			t.Error(text)
		}
	}
}
