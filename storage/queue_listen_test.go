package storage_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
)

// listen reports on told when a node tells others of new jobs.
func listen(t *testing.T, url string, told chan<- struct{}) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), `LISTEN "public.river_insert"`); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() { _ = conn.Close(context.Background()) }()
		if _, err := conn.WaitForNotification(ctx); err == nil {
			told <- struct{}{}
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
}
