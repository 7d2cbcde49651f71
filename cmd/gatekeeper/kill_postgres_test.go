package main

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// killAuthor kills whichever replica made the n-th commit that others were told
// of, and starts it again. Replicas are told apart by the name of their
// connections, replica0 and so on.
func killAuthor(t *testing.T, url string, all []*process) func(n int) (stop func() bool) {
	ask, hear := dial(t, url), dial(t, url)
	if _, err := hear.Exec(t.Context(), "LISTEN gatekeeper_news"); err != nil {
		t.Fatal(err)
	}
	return func(n int) func() bool {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan bool, 1)
		go func() {
			for range n {
				if _, err := hear.WaitForNotification(ctx); err != nil {
					ended <- false
					return
				}
			}
			news, err := hear.WaitForNotification(ctx)
			if err != nil {
				ended <- false
				return
			}
			p := authorOf(ask, news.PID, all)
			if p == nil {
				t.Errorf("nobody knows who made commit %d", n)
				ended <- false
				return
			}
			p.kill()
			p.start()
			ended <- true
		}()
		return func() bool { cancel(); return <-ended }
	}
}

func dial(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func authorOf(ask *pgx.Conn, pid uint32, all []*process) *process {
	var name string
	if err := ask.QueryRow(context.Background(), `SELECT application_name FROM pg_stat_activity WHERE pid = $1`, pid).Scan(&name); err != nil {
		return nil
	}
	for i, p := range all {
		if strings.HasSuffix(name, "replica"+string(rune('0'+i))) {
			return p
		}
	}
	return nil
}
