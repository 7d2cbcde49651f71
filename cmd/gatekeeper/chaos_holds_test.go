package main

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/chaosflags"
)

// calm waits until nothing is due any more.
func (c *chaos) calm() {
	ctx, cancel := context.WithTimeout(c.t.Context(), 2*time.Minute)
	defer cancel()
	for ctx.Err() == nil {
		if due, err := c.svc.store.Due(ctx); err == nil && due == 0 {
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond): // another process's work is waited for by asking
		}
	}
	queue, err := c.svc.store.Queue(c.t.Context())
	c.t.Errorf("work never ends: %v, %v", queue, err)
}

// unasked stands among the exit codes for a step that gave up before people
// were asked.
const unasked = -1

// end counts how a step ended. 1 is one whose cloud failed three times, or
// whose answer was lost for good. While faults go on for long, what failed ten
// times over waits for minutes, longer than a step does; holds looks at it all
// the same.
func (c *chaos) end(code int, told string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended[code]++; code != 0 && code != 1 && *chaosflags.Minutes == 0 {
		c.t.Error(told)
	}
}

// patient holds the long form to most steps having come to their end.
func (c *chaos) patient() {
	all, late := 0, 0
	for code, n := range c.ended {
		if all += n; code != 0 && code != 1 {
			late += n
		}
	}
	if late*10 > all {
		c.t.Errorf("%d of %d steps gave up", late, all)
	}
}

// holds checks the invariants on the ledger and at the vendors.
func (c *chaos) holds() {
	c.t.Helper()
	c.verified(c.t)
	counted, sessions, requests, given := map[string]int{}, 0, map[string]bool{}, map[string]bool{}
	path, env := c.configFile(c.t)
	exported := command(c.t.Context(), env, "audit", "export", "--config", path, "--format", "jsonl")
	for line := range strings.SplitSeq(strings.TrimSpace(exported.stdout), "\n") {
		var event struct{ Data gatekeeper.Event }
		if err := json.Unmarshal([]byte(line), &event); err != nil {
			c.t.Fatalf("%v\n%s", err, line)
		}
		switch e := event.Data; e.Type {
		case gatekeeper.EventRequestOpened:
			requests[e.Request] = true
		case gatekeeper.EventRequestCanceled, gatekeeper.EventRequestExpired:
			given[e.Request] = true
		case gatekeeper.EventVoteCounted:
			counted[e.Request+" "+e.Actor.ID]++
		case gatekeeper.EventRedemptionSucceeded, gatekeeper.EventRedemptionUnknown:
			sessions++
		}
	}
	for vote := range c.acked {
		if counted[vote] == 0 {
			c.t.Errorf("the acknowledged vote %s is lost", vote)
		}
	}
	for vote, n := range counted {
		if n > 1 {
			c.t.Errorf("the vote %s is counted %d times", vote, n)
		}
	}
	if n := len(c.sts.Sessions()); n > sessions {
		c.t.Errorf("STS issued %d sessions, the ledger knows of %d", n, sessions)
	}
	messages := map[string]int{}
	for _, m := range c.slack.Messages("C0DEPLOYS") {
		if m.Metadata == nil || m.Metadata.EventType != "gatekeeper_request" {
			continue
		}
		if id, ok := m.Metadata.EventPayload["request_id"].(string); ok {
			messages[id]++
		}
	}
	for id := range requests {
		if messages[id] > 1 || messages[id] == 0 && !given[id] { // nobody is asked any more for one that was given up
			c.t.Errorf("request %s has %d messages", id, messages[id])
		}
	}
	c.t.Logf("%d requests, %d votes, %d sessions", len(requests), len(counted), len(c.sts.Sessions()))
}

// last is what was written last, in lines.
func (b *buffer) last(n int) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	lines := strings.Split(strings.TrimSpace(b.b.String()), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
