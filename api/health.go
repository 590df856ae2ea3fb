package api

import (
	_ "embed"
	"net/http"
)

type alive struct {
	Status string `json:"status"`
}

type health struct {
	Status string            `json:"status"`
	Checks map[string]string `json:"checks"`
}

// healthz says that the process lives, and nothing about what it stands on:
// whoever restarts on it must not restart because of a database.
func healthz(c *call) error { return c.send(http.StatusOK, alive{"ok"}) }

func readyz(c *call) error {
	out := health{Status: "ok", Checks: map[string]string{}}
	ready := true
	if c.s.Ready != nil {
		if ready, out.Checks = c.s.Ready(c.ctx); out.Checks == nil {
			out.Checks = map[string]string{}
		}
	}
	if !ready {
		out.Status = "unavailable"
		return c.send(http.StatusServiceUnavailable, out)
	}
	return c.send(http.StatusOK, out)
}

//go:embed openapi.yaml
var openAPIDocument []byte

// openAPI serves the description of this API (OpenAPI 3.1).
func openAPI(c *call) error {
	return c.Blob(http.StatusOK, "application/yaml", openAPIDocument)
}
