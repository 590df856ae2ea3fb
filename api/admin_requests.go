package api

import (
	"net/http"
	"slices"

	"github.com/resetflow/resetflow/workflow"
)

// requestRow is a request as administrators see it: no code, hash or generation.
type requestRow struct {
	ID          string `json:"id"`
	Flow        string `json:"flow"`
	Origin      string `json:"origin"`
	State       string `json:"state"`
	Email       string `json:"email"`
	UserID      string `json:"userId,omitempty"`
	Sends       int    `json:"sends"`
	Attempts    int    `json:"attempts"`
	MaxAttempts int    `json:"maxAttempts,omitempty"`
	Locale      string `json:"locale,omitempty"`
	RedirectURL string `json:"redirectUrl,omitempty"`
	ClientIP    string `json:"clientIp,omitempty"`
	UserAgent   string `json:"userAgent,omitempty"`
	Actor       string `json:"actor"`
	Reason      string `json:"reason,omitempty"`
	Skip        bool   `json:"skipPasswordUpdatedEmail"`
	CreatedAt   string `json:"createdAt"`
	ExpiresAt   string `json:"expiresAt"`
	CompletedAt string `json:"completedAt,omitempty"`
}

func showRequestRow(r workflow.Request) requestRow {
	return requestRow{r.ID.String(), string(r.Flow), string(r.Origin), string(r.State), r.Email, r.AccountID,
		r.Sends, r.Attempts, r.MaxAttempts, r.Locale, r.RedirectURL, r.ClientIP, r.UserAgent, r.Actor, r.Reason,
		r.SkipConfirmation, stamp(r.CreatedAt), stamp(r.ExpiresAt), stamp(r.CompletedAt)}
}

// moment is one line of a request's timeline.
type moment struct {
	At       string `json:"at"`
	Event    string `json:"event"`
	Move     string `json:"move,omitempty"`
	From     string `json:"from,omitempty"`
	To       string `json:"to,omitempty"`
	Actor    string `json:"actor"`
	ClientIP string `json:"clientIp,omitempty"`
	Cause    string `json:"cause,omitempty"`
}

type requestDetail struct {
	requestRow
	Timeline []moment `json:"timeline"`
}

func listRequests(c *call) error {
	v := workflow.Violations{}
	cursor, limit := c.page(v)
	q := workflow.RequestQuery{Email: c.queryEmail(v), Cursor: cursor, Limit: limit,
		State: workflow.State(c.query(v, "state")), Flow: workflow.FlowName(c.query(v, "flow"))}
	if q.State != "" && !slices.Contains(workflow.States(), q.State) {
		v.Add("state", workflow.VioInvalidValue)
	}
	if q.Flow != "" && !slices.ContainsFunc(c.s.Flows, func(p workflow.FlowPolicy) bool { return p.Name == q.Flow }) {
		v.Add("flow", workflow.VioInvalidValue)
	}
	if err := v.Err(); err != nil {
		return err
	}
	rows, next, err := c.s.History.Requests(c.ctx, c.app.Slug, q)
	return sendList(c, rows, next, err, showRequestRow)
}

func showRequest(c *call) error {
	id, err := c.rowID()
	if err != nil {
		return err
	}
	r, _, err := c.s.Requests.Request(c.ctx, c.app.Slug, workflow.Locator{ID: id})
	if err != nil {
		return err
	}
	entries, err := c.s.History.Timeline(c.ctx, c.app.Slug, id)
	if err != nil {
		return err
	}
	out := requestDetail{showRequestRow(r), make([]moment, 0, len(entries))}
	for _, e := range entries {
		out.Timeline = append(out.Timeline, moment{stamp(e.At), e.Event, string(e.Move), string(e.From), string(e.To), e.Actor, e.ClientIP, e.Cause})
	}
	return c.send(http.StatusOK, out)
}

func cancelRequest(c *call) error {
	id, err := c.rowID()
	if err != nil {
		return err
	}
	if err := c.s.Engine.Cancel(c.ctx, c.app, id, c.who.actor()); err != nil {
		return err
	}
	return c.done()
}
