package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/api"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/parts"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/postgres"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/slackbox"
)

// killAfter kills the process when its SQLite database was written to n times, and
// starts it again. fired tells whether it came to that before stop.
func (p *process) killAfter(n int) (stop func() (fired bool)) {
	done, ended := make(chan struct{}), make(chan bool, 1)
	go func() {
		last, writes := int64(-1), 0
		for {
			select {
			case <-done:
				ended <- false
				return
			default:
			}
			// Each commit makes the write-ahead log longer.
			if info, err := os.Stat(filepath.Join(p.dir, "gatekeeper.db-wal")); err == nil && info.Size() != last {
				last = info.Size()
				if writes++; writes > n {
					p.kill()
					p.start()
					ended <- true
					return
				}
			}
			time.Sleep(50 * time.Microsecond) // polling a file is the one way to see another process's commits
		}
	}()
	return func() bool { close(done); return <-ended }
}

const twoApprovers = `rules:
  - name: payments-production
    match: {repository: acme/payments, repository_id: "1234567"}
    environment: production
    approval: {approvers: [slack:S0RELEASE], quorum: 2}
    credentials:
      deploy: {aws: {role_arn: "arn:aws:iam::111122223333:role/payments-deploy"}}
`

// life is one request's, and who is killed in it.
type life struct {
	waits, clicked *process // where the step waits, and where clicks arrive; one and the same on SQLite
	// killAfter kills whoever made the n-th commit, and starts it again. fired
	// tells whether it came to that before stop.
	killAfter func(n int) (stop func() (fired bool))
}

// A kill -9 between every two steps of a request's life loses no acknowledged
// vote, posts no second message and hands out no second credential (threats
// rows 27, 31, 32). The kill comes after the n-th commit, for every n until a
// life has fewer.
func TestKilledAtEveryStep(t *testing.T) {
	t.Parallel() // it mostly waits
	if testing.Short() {
		t.Skip("it starts the real binary a few dozen times; run without -short")
	}
	path := parts.Gatekeeper(t)
	everyCommit(t, 1, func(t *testing.T) life {
		p := newProcess(t, path, twoApprovers)
		p.start()
		return life{p, p, p.killAfter}
	})
}

// The same on PostgreSQL with two replicas: the step waits at one, people
// click at the other, and whichever made the n-th commit is killed after it.
// What it had in hand is taken over when its lease is over, so lives go on
// beside each other.
func TestReplicasKilledAtEveryStep(t *testing.T) {
	t.Parallel() // it mostly waits
	if testing.Short() {
		t.Skip("it starts the real binary a few dozen times; run without -short")
	}
	path := parts.Gatekeeper(t)
	pg := postgres.Start(t, postgres.Options{Config: map[string]string{"max_connections": "500"}})
	everyCommit(t, 8, func(t *testing.T) life {
		url := pg.Database()
		s := newPlainStage(t, twoApprovers)
		all := s.replicas(t, func(i int) string { return url + "&application_name=replica" + fmt.Sprint(i) }, path, path)
		for _, p := range all {
			p.start()
		}
		return life{all[1], all[0], killAuthor(t, url, all)}
	})
}

// everyCommit lives until a life has no n-th commit, so many lives at once.
func everyCommit(t *testing.T, atOnce int, begin func(*testing.T) life) {
	var ended atomic.Int64 // how many commits a life has, once one had no more
	for n := 0; ended.Load() == 0 && !t.Failed(); n += atOnce {
		var wg sync.WaitGroup
		for more := range atOnce {
			wg.Go(func() {
				t.Run(fmt.Sprintf("after commit %d", n+more), func(t *testing.T) {
					if !begin(t).killed(t, n+more) {
						ended.CompareAndSwap(0, int64(n+more))
					}
				})
			})
		}
		wg.Wait()
	}
	if ended.Load() < 8 {
		t.Errorf("only %d commits were hit", ended.Load())
	}
	t.Logf("a life has %d commits", ended.Load())
}

func (l life) killed(t *testing.T, n int) bool {
	p := l.waits
	env := p.jobEnv(map[string]any{"run_id": fmt.Sprint(7000 + n)})
	env["GATEKEEPER_URL"] = p.url
	stop := l.killAfter(n)
	ctx, cancel := context.WithTimeout(t.Context(), 120*time.Second)
	defer cancel()
	done := make(chan outcomeOf, 1)
	go func() {
		done <- command(ctx, env, "request", "--environment", "production", "--audience", p.cfg.URL, "--output", "json")
	}()
	acked := 0
	for _, user := range []string{"U0BOB", "U0CAROL"} {
		acked += l.clicked.clickUntilAcked(ctx, t, user)
	}
	got := <-done
	fired := stop()
	delivered := 1
	if fired && got.code == 1 && strings.Contains(got.stderr, "already redeemed") {
		delivered = 0 // killed between recording the result and telling it: at most once means not again
	} else if got.code != 0 {
		t.Fatalf("exit %d\n%s\n%s\n%s", got.code, got.stderr, p.log, l.clicked.log)
	}
	p.invariants(t, got, acked, delivered)
	return fired
}

// clickUntilAcked presses Approve until Slack gets its acknowledgement, as a
// person does who sees an error. It gives how often that came.
func (p *process) clickUntilAcked(ctx context.Context, t *testing.T, user string) int {
	t.Helper()
	m, err := p.slack.WaitMessage(ctx, func(m slackbox.Message) bool {
		_, ok := buttonOf(m, "Approve")
		return m.Channel == "C0DEPLOYS" && ok
	})
	if err != nil {
		t.Fatalf("no message with buttons: %v\n%s", err, p.log)
	}
	b, _ := buttonOf(m, "Approve")
	var last any
	for ctx.Err() == nil {
		d, err := p.slack.Click(ctx, slackbox.Click{User: user, Channel: m.Channel, TS: m.TS, ActionID: b.ActionID, Value: b.Value})
		if err == nil && d.Acked() {
			return 1
		}
		last = fmt.Sprint(err, d.Status, d.Error, d.Response)
		now, _ := p.slack.Message(m.Channel, m.TS)
		if _, open := buttonOf(now, "Approve"); !open {
			return 0 // recorded before the kill, not acknowledged, and counted all the same
		}
		select {
		case <-ctx.Done():
		case <-time.After(10 * time.Millisecond):
		}
	}
	t.Fatalf("%s's click was never acknowledged: %v\n%s", user, last, p.log)
	return 0
}

func (p *process) invariants(t *testing.T, got outcomeOf, acked, delivered int) {
	t.Helper()
	var out struct {
		Request     api.Request             `json:"request"`
		Credentials []gatekeeper.Credential `json:"credentials"`
	}
	if err := json.Unmarshal([]byte(got.stdout), &out); (err != nil && delivered > 0) || len(out.Credentials) != delivered {
		t.Fatalf("%d credentials were delivered, %v", len(out.Credentials), err)
	}
	messages := 0
	for _, m := range p.slack.Messages("C0DEPLOYS") {
		if m.ThreadTS == "" && m.Ephemeral == "" {
			messages++
		}
	}
	if messages != 1 {
		t.Errorf("%d messages were posted, want one", messages)
	}
	types := p.events(t)
	if counted := types["vote.counted"]; counted < acked || counted != 2 {
		t.Errorf("%d votes of two people are counted, %d clicks were acknowledged", counted, acked)
	}
	if types["request.approved"] != 1 || types["redemption.succeeded"] != 1 {
		t.Errorf("events: %v", types)
	}
	// A session whose answer was lost in the crash is in the ledger as unknown.
	if sessions := len(p.sts.Sessions()); sessions > 1+types["redemption.unknown"] {
		t.Errorf("%d sessions were issued, %d attempts are unknown", sessions, types["redemption.unknown"])
	}
	env := map[string]string{"SLACK_BOT_TOKEN": "x", "SLACK_SIGNING_SECRET": "x"}
	if v := command(t.Context(), env, "audit", "verify", "--config", p.config); v.code != 0 {
		t.Errorf("audit verify: %s%s", v.stdout, v.stderr)
	}
}

// events counts the ledger's events by type.
func (p *process) events(t *testing.T) map[string]int {
	t.Helper()
	env := map[string]string{"SLACK_BOT_TOKEN": "x", "SLACK_SIGNING_SECRET": "x"}
	exported := command(t.Context(), env, "audit", "export", "--config", p.config)
	types := map[string]int{}
	for d := json.NewDecoder(strings.NewReader(exported.stdout)); ; {
		var e gatekeeper.Event
		if err := d.Decode(&e); err != nil {
			return types
		}
		types[string(e.Type)]++
	}
}

// BenchmarkWaiting measures what a waiting step costs the gatekeeper, and how
// long a click takes to reach one of a thousand.
func BenchmarkWaiting(b *testing.B) {
	const steps = 1000
	p := newProcess(b, parts.Gatekeeper(b), strings.Replace(twoApprovers, "quorum: 2", "quorum: 1", 1))
	config, err := os.ReadFile(p.config)
	if err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(p.config, append(config, "limits: {pending_per_repository: 100000}\n"...), 0o600); err != nil {
		b.Fatal(err)
	}
	p.start()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 2 * steps}}
	token := func(run int) string { return p.ci.Token(p.cfg.URL, runClaims(run)) }
	ask := func(method, path, token string, body string) api.Request {
		req, _ := http.NewRequestWithContext(context.Background(), method, p.cfg.URL+path, strings.NewReader(body))
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := client.Do(req)
		if err != nil {
			b.Error(err)
			return api.Request{}
		}
		defer resp.Body.Close()
		raw, _ := io.ReadAll(resp.Body)
		var r api.Request
		if err := json.Unmarshal(raw, &r); err != nil || resp.StatusCode/100 != 2 {
			b.Errorf("%s %s: %s %s", method, path, resp.Status, raw)
		}
		return r
	}
	p.slack.Fail(slackbox.Fault{Method: "chat.update", Times: -1, Delay: slackbox.Duration(0)})
	before := p.rss(b)
	var wg sync.WaitGroup
	tokens := make([]string, steps)
	ids := make([]string, steps)
	for i := range steps {
		tokens[i] = token(i)
		ids[i] = ask(http.MethodPost, "/v1/requests", tokens[i], `{"environment":"production"}`).ID
	}
	opened := p.rss(b)
	stop, cancel := context.WithCancel(context.Background())
	for i := range steps {
		wg.Go(func() {
			req, _ := http.NewRequestWithContext(stop, http.MethodGet, p.cfg.URL+"/v1/requests/"+ids[i]+"?wait=60s", nil)
			req.Header.Set("Authorization", "Bearer "+tokens[i])
			if resp, err := client.Do(req); err == nil {
				_ = resp.Body.Close()
			}
		})
	}
	until(b, "all of them wait", func() bool {
		_, metrics := p.probe("/metrics")
		return strings.Contains(metrics, fmt.Sprintf("\ngatekeeper_waiting_steps %d\n", steps))
	})
	b.ReportMetric(float64(p.rss(b)-opened)/steps/1024, "KB/waiter")
	b.ReportMetric(float64(opened-before)/steps/1024, "KB/request")
	cancel()
	wg.Wait()
}

func runClaims(run int) map[string]any {
	claims := map[string]any{}
	for name, value := range defaultClaims() {
		claims[name] = value
	}
	claims["run_id"], claims["check_run_id"] = fmt.Sprint(100000+run), fmt.Sprint(900000+run)
	return claims
}

// rss is the process's resident memory in bytes.
func (p *process) rss(b *testing.B) int64 {
	body, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		b.Skip("this system has no /proc")
	}
	for _, line := range bytes.Split(body, []byte("\n")) {
		var kb int64
		if _, err := fmt.Sscanf(string(line), "VmRSS: %d kB", &kb); err == nil {
			return kb * 1024
		}
	}
	return 0
}
