package api

import (
	"net/http"
	"strings"
	"time"

	"github.com/resetflow/resetflow/internal/strictjson"
	"github.com/resetflow/resetflow/workflow"
)

func passwordPolicy(c *call) error { return c.send(http.StatusOK, c.app.Policy) }

type checkBody struct{ password text }

func checkFields(in *checkBody) []strictjson.Field {
	return []strictjson.Field{strictjson.String("password", &in.password)}
}

// checkRate is the limit of check-password, for each client address or key.
// Judging a password costs CPU and, unlimited, would be an oracle for lists.
var checkRate = workflow.Rate{N: 60, Per: time.Minute}

type verdict struct {
	Valid      bool                 `json:"valid"`
	Violations []workflow.Violation `json:"violations"`
}

func checkPassword(c *call, in *checkBody) error {
	if !in.password.Given {
		return workflow.Violate("password", workflow.VioRequired)
	}
	quota := workflow.Quota{Name: "check_password", Key: c.counted(), Rate: checkRate}
	refused, err := c.s.Limiter.Take(c.ctx, c.app.Slug, quota)
	if err != nil {
		return err
	}
	if refused != nil {
		c.limited(quota.Name)
		return &workflow.Error{Code: workflow.CodeRateLimited, RetryAfter: refused.After,
			Limit: &workflow.LimitState{Name: quota.Name, Rate: quota.Rate}}
	}
	wrong, err := workflow.Judge(c.ctx, c.s.Policies, nil, c.app.Slug, c.app.Policy, "", in.password.Value, identifiers(c.app, "", ""))
	if err != nil {
		return err
	}
	if wrong == nil {
		wrong = []workflow.Violation{}
	}
	return c.send(http.StatusOK, verdict{len(wrong) == 0, wrong})
}

// identifiers are the words a password must not hold.
func identifiers(app *workflow.Application, email, name string) []string {
	words := []string{app.Slug, app.Name}
	if local, _, ok := strings.Cut(email, "@"); ok {
		words = append(words, email, local)
	}
	if name != "" {
		words = append(words, name)
	}
	return words
}
