package notify_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/resetflow/resetflow/notify"
)

func TestInboxKeepsTheNewest(t *testing.T) {
	inbox, err := notify.NewInbox()
	if err != nil {
		t.Fatal(err)
	}
	defer inbox.Close()
	s := sender(t, inbox.URL(), nil)
	for n := range 205 {
		m := letter()
		m.Message.To = fmt.Sprintf("n%d@example.com", n)
		if err := s.Deliver(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	mails := inbox.Mails()
	if len(mails) != 200 || inbox.Total() != 205 || mails[0].EnvelopeTo[0] != "n204@example.com" || mails[199].EnvelopeTo[0] != "n5@example.com" {
		t.Fatalf("%d mails of %d", len(mails), inbox.Total())
	}
	m := mails[0]
	if m.Kind != "reset_code" || m.Subject == "" || m.From != `"Acme" <no-reply@acme.test>` || !strings.Contains(m.Text, "482913") || !strings.Contains(m.HTML, "<html") || len(m.Raw) == 0 || m.Date.IsZero() {
		t.Errorf("%+v", m)
	}
}
