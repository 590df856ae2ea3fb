package attacks

import "testing"

func TestADR(t *testing.T) {
	row(t, "ADR-01", "Two addresses in an array", func(t *testing.T, x *World) {
		victim := x.Person("v")
		got := x.Workflow("request-password-reset", `{"email":["`+victim+`","`+x.Evil()+`"]}`)
		Bad(t, got)
		x.NoMail(victim)
		x.Unchanged(victim)
	})
}
