package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/postgres"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/slackbox"
	"github.com/jackc/pgx/v5"
)

// clocks are the gatekeeper's, which Slack's goes with, and the database's.
type clocks struct {
	*played
	t    *testing.T
	pg   *postgres.Server
	url  string
	runs int
}

// set says how far the two are from the true time.
func (c *clocks) set(gatekeeper, database time.Duration) {
	c.ahead.Store(int64(gatekeeper))
	c.pg.SetClock(database)
}

func (c *clocks) call(method, path string, run int, body string) (int, string) {
	return c.played.call(c.t, method, path, c.ci.Token(c.cfg.URL, runClaims(run)), body)
}

// open asks, and waits until people are asked.
func (c *clocks) open() (run int, m slackbox.Message, id string) {
	c.t.Helper()
	c.runs++
	if status, body := c.call(http.MethodPost, "/v1/requests", c.runs, `{"environment":"production"}`); status != http.StatusCreated {
		c.t.Fatalf("%d %s", status, body)
	}
	m, err := c.slack.WaitMessage(c.t.Context(), asksFor(c.runs))
	if err != nil {
		c.t.Fatal(err)
	}
	b, _ := buttonOf(m, "Approve")
	return c.runs, m, b.Value
}

// until waits until the request is in the state.
func (c *clocks) until(run int, id, state string) {
	c.t.Helper()
	for _, wait := range []string{"0s", "20s", "20s"} {
		if _, body := c.call(http.MethodGet, "/v1/requests/"+id+"?wait="+wait, run, ""); strings.Contains(body, `"state":"`+state+`"`) {
			return
		}
	}
	c.t.Fatalf("run %d never was %s", run, state)
}

func (c *clocks) approved() (run int, id string) {
	c.t.Helper()
	run, m, id := c.open()
	if err := c.decide(c.t.Context(), m, "U0BOB", "approve"); err != nil {
		c.t.Fatal(err)
	}
	c.until(run, id, "approved")
	return run, id
}

func (c *clocks) redeems(run int, id string, want int) {
	c.t.Helper()
	ask := fmt.Sprintf(`{"name":"deploy","subject_token":%q}`, c.ci.Token("sts.amazonaws.com", runClaims(run)))
	if status, body := c.call(http.MethodPost, "/v1/requests/"+id+"/credentials", run, ask); status != want {
		c.t.Errorf("redeeming: %d, want %d: %s", status, want, body)
	}
}

// calm waits until no work is due by the database's clock: what were due over
// and over would never let it be.
func (c *clocks) calm() {
	c.t.Helper()
	conn := dial(c.t, c.url)
	until(c.t, "no work is due", func() bool { return c.due(conn) == 0 })
}

func (c *clocks) due(conn *pgx.Conn) (n int) {
	const query = `SELECT count(*) FROM work WHERE leased = 1 OR run_at <= (extract(epoch FROM clock_timestamp()) * 1000000000)::bigint`
	if err := conn.QueryRow(c.t.Context(), query).Scan(&n); err != nil {
		c.t.Fatal(err)
	}
	return n
}

// Either clock jumps by hours, ahead and back: what ended stays ended, by
// whichever clock is right; nothing is repeated for ever, nothing waits for
// the old time to come again, and the ledger holds. docs/reliability.md has
// the table.
func TestClocksJump(t *testing.T) {
	t.Parallel() // it mostly waits
	pg := postgres.Start(t, postgres.Options{Clock: true})
	url := pg.Database()
	p := onPostgresAt(t, url, func(s *stage) {
		s.rules(bobApproves)
		s.cfg.clock = s.now
	})
	c := &clocks{played: p, t: t, pg: pg, url: url}
	const hours, window = 3 * time.Hour, 16 * time.Minute // approvals are valid for 15 minutes
	for _, one := range []struct {
		what string
		do   func()
	}{
		{"the database's ahead: over by it, and not for ever", func() {
			run, id := c.approved()
			c.set(0, hours)
			c.redeems(run, id, http.StatusGone)
			c.set(0, 0)
			c.redeems(run, id, http.StatusOK)
		}},
		{"the database's back: over by ours", func() {
			run, id := c.approved()
			c.set(window, -hours)
			c.redeems(run, id, http.StatusGone)
		}},
		{"ours back: over by the database's", func() {
			run, id := c.approved()
			c.set(-hours, window)
			c.redeems(run, id, http.StatusGone)
			c.calm() // its message says so, once
		}},
		{"ours ahead: over by it", func() {
			run, id := c.approved()
			c.set(hours, 0)
			c.redeems(run, id, http.StatusGone)
			c.set(0, 0)
			c.redeems(run, id, http.StatusOK)
		}},
		{"pending, the database's ahead: expired for good", func() {
			run, m, id := c.open()
			c.set(0, hours)
			_, _, _ = c.open() // whoever comes next wakes the runner
			c.until(run, id, "expired")
			c.set(0, 0)
			c.redeems(run, id, http.StatusGone)
			if b, ok := buttonOf(m, "Approve"); ok {
				_, _ = c.slack.Click(t.Context(), slackbox.Click{User: "U0BOB", Channel: m.Channel, TS: m.TS, ActionID: b.ActionID, Value: b.Value})
			}
			c.until(run, id, "expired")
		}},
		{"pending, the database's back: no vote counts after the end by ours", func() {
			run, m, id := c.open()
			c.set(61*time.Minute, -hours)
			if err := c.decide(c.t.Context(), m, "U0BOB", "approve"); err != nil {
				t.Fatal(err)
			}
			c.told(c.t, "U0BOB", "expired")
			c.redeems(run, id, http.StatusGone)
		}},
		{"work that failed while the database's was ahead is done when it is right", func() {
			c.calm()
			before := len(c.log.String())
			c.slack.Fail(slackbox.Fault{Method: "chat.postMessage", Times: -1, Status: http.StatusServiceUnavailable})
			c.set(0, hours)
			c.runs++
			late := c.runs
			if status, body := c.call(http.MethodPost, "/v1/requests", late, `{"environment":"production"}`); status != http.StatusCreated {
				t.Fatalf("%d %s", status, body)
			}
			until(t, "a try failed", func() bool { return strings.Contains(c.log.String()[before:], "work failed") })
			c.set(0, 0)
			c.slack.ClearFaults()
			c.open()
			if _, err := c.slack.WaitMessage(t.Context(), asksFor(late)); err != nil {
				t.Error(err)
			}
		}},
	} {
		t.Run(one.what, func(t *testing.T) {
			c.t = t
			defer c.set(0, 0)
			one.do()
		})
	}
	c.t = t
	run, id := c.approved() // all is as ever
	c.redeems(run, id, http.StatusOK)
	c.calm()
	p.verified(t)
}
