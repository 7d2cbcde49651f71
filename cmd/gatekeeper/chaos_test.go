package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/chaosflags"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/parts"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/postgres"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/slackbox"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/stsbox"
)

// chaos is three replicas on one database, with every link failing in turn:
// one in this process, one that is killed over and over, and one that lives
// through all of it and must not grow.
type chaos struct {
	*played
	t             *testing.T
	rng           *rand.Rand
	pg            *postgres.Server
	links         []*link
	addrs         []string // of the replicas
	second, third *process

	mu    sync.Mutex
	acked map[string]bool // request, person and choice of clicks that Slack got acknowledged
	ended map[int]int     // exit codes
}

// quiet is how long it may take until everything came to its end once nothing
// fails any more.
const quiet = 5 * time.Minute

// TestChaos runs deployments while replicas die, the database stops, and Slack,
// STS and the network fail, and then holds the ledger to what was acknowledged:
// no vote lost, none counted twice, one message for each request, no session
// that the ledger does not know.
func TestChaos(t *testing.T) {
	t.Parallel() // it mostly waits
	if testing.Short() {
		t.Skip("it takes half a minute; run without -short")
	}
	seed := *chaosflags.Seed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	span := time.Duration(*chaosflags.Minutes * float64(time.Minute))
	t.Logf("again with: go test ./... -run Chaos -timeout %.0fm -chaos.seed=%d -chaos.minutes=%g", (span + 2*quiet).Minutes(), seed, *chaosflags.Minutes)
	if end, ok := t.Deadline(); ok && span > 0 && time.Until(end) < span+quiet {
		t.Fatalf("go test ends before the faults do: add -timeout %.0fm", (span + 2*quiet).Minutes())
	}
	c := newChaos(t, rand.New(rand.NewPCG(seed, 0)))
	defer func() {
		if t.Failed() {
			t.Logf("the last that the replica in this process said:\n%s", c.log.last(40))
		}
	}()
	grown := c.watchGrowth()
	stop := c.trouble(max(span, 6*time.Second))
	c.deployments(seed, 8, span)
	stop()
	c.calm()
	t.Logf("exit codes of steps: %v", c.ended)
	c.patient()
	grown()
	c.holds()
}

func newChaos(t *testing.T, rng *rand.Rand) *chaos {
	c := &chaos{t: t, rng: rng, pg: postgres.Start(t, postgres.Options{Durable: true}), acked: map[string]bool{}, ended: map[int]int{}}
	direct := c.pg.Database()
	for range 3 {
		c.links = append(c.links, newLink(t, c.pg.Addr()))
	}
	through := func(i int) string { return strings.Replace(direct, c.pg.Addr(), c.links[i].addr(), 1) }
	program := parts.Gatekeeper(t)
	c.played = play(t, func(s *stage) {
		if err := os.WriteFile(s.cfg.Rules, []byte(strings.Replace(twoApprovers, "slack:S0RELEASE", "slack:U0BOB, slack:U0CAROL", 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		s.cfg.Pending = 1000
		all := s.replicas(t, through, program, program, program)
		c.second, c.third = all[1], all[2]
		s.cfg.Database = through(0)
	})
	c.addrs = []string{c.cfg.URL, c.second.url, c.third.url}
	for _, p := range []*process{c.second, c.third} {
		p.args = []string{"--log-level", "error"}
		p.start()
	}
	return c
}

// trouble makes one thing fail after the other for a while. What began in it
// has to come to its end after it.
func (c *chaos) trouble(span time.Duration) (stop func()) {
	ctx, cancel := context.WithTimeout(c.t.Context(), span)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer c.heal() // also when a replica does not begin again, which ends this
		for ctx.Err() == nil {
			c.fault()
			select {
			case <-ctx.Done():
			case <-time.After(time.Duration(100+c.rng.IntN(400)) * time.Millisecond): // the pace of the faults is the test's subject
			}
		}
	}()
	return func() { cancel(); <-done }
}

func (c *chaos) fault() {
	l := c.links[c.rng.IntN(len(c.links))]
	switch c.rng.IntN(10) {
	case 0:
		c.slack.Fail(slackbox.Fault{Method: "chat.postMessage", After: true, Reset: true})
	case 1:
		c.slack.Fail(slackbox.Fault{Times: 3, Status: http.StatusServiceUnavailable})
	case 2:
		c.slack.Fail(slackbox.Fault{Method: "users.info", Times: 2, Error: "ratelimited", RetryAfter: 1})
	case 3:
		c.sts.ClearFaults() // or they pile up, and all of each job's three attempts fail
		c.sts.Fail(stsbox.Fault{Status: 400, Code: "Throttling"}, stsbox.Fault{Status: 503, Code: "ServiceUnavailable"})
	case 4:
		c.sts.ClearFaults()
		c.sts.Fail(stsbox.Fault{After: true})
	case 5: // for a while: under an advisory lock that all take in turn, three slow links leave a handful of changes a second
		l.slow(c.t, 150*time.Millisecond)
		<-time.After(time.Second)
		l.heal(c.t)
	case 6:
		l.cut()
	case 7:
		l.down(c.t, 300*time.Millisecond)
	case 8:
		c.second.kill()
		c.second.begin()
	case 9:
		if c.rng.IntN(3) == 0 {
			c.pg.Kill()
			c.pg.Restart()
		}
	}
}

func (c *chaos) heal() {
	c.slack.ClearFaults()
	c.sts.ClearFaults()
	for _, l := range c.links {
		l.heal(c.t)
	}
	c.second.ready(http.StatusOK)
	c.third.ready(http.StatusOK)
}

// deployments go on for a while, so many at once.
func (c *chaos) deployments(seed uint64, workers int, span time.Duration) {
	deadline := time.Now().Add(span)
	var wg sync.WaitGroup
	for worker := range workers {
		rng := rand.New(rand.NewPCG(seed, uint64(worker)+1))
		wg.Go(func() {
			for n := 0; n < 2 || time.Now().Before(deadline); n++ {
				c.deployment(rng, 10_000*(worker+1)+n)
			}
		})
	}
	wg.Wait()
}

// deployment is one job from its question to its credentials, with two people
// who click until they see that it went through.
func (c *chaos) deployment(rng *rand.Rand, run int) {
	env := c.jobEnv(runClaims(run))
	env["GATEKEEPER_URL"] = c.addrs[rng.IntN(len(c.addrs))]
	ctx, cancel := context.WithTimeout(c.t.Context(), 4*time.Minute)
	defer cancel()
	done := make(chan outcomeOf, 1)
	go func() {
		done <- command(ctx, env, "request", "--environment", "production", "--audience", c.cfg.URL, "--output", "json", "--timeout", "230s")
	}()
	m, err := c.slack.WaitMessage(ctx, func(m slackbox.Message) bool {
		return m.ThreadTS == "" && m.Ephemeral == "" && strings.Contains(fmt.Sprint(m.Blocks), fmt.Sprint(100000+run))
	})
	if err != nil {
		c.end(unasked, fmt.Sprintf("run %d: no message was posted: %v", run, err))
		return
	}
	for _, user := range []string{"U0BOB", "U0CAROL"} {
		c.approve(ctx, m, user)
	}
	got := <-done
	c.end(got.code, fmt.Sprintf("run %d: exit %d\n%s", run, got.code, got.stderr))
}

func (c *chaos) approve(ctx context.Context, m slackbox.Message, user string) {
	b, ok := buttonOf(m, "Approve")
	for ok && ctx.Err() == nil {
		d, err := c.slack.Click(ctx, slackbox.Click{User: user, Channel: m.Channel, TS: m.TS, ActionID: b.ActionID, Value: b.Value})
		if err == nil && d.Acked() {
			c.mu.Lock()
			c.acked[b.Value+" slack:"+user] = true
			c.mu.Unlock()
			return
		}
		now, _ := c.slack.Message(m.Channel, m.TS)
		if _, ok = buttonOf(now, "Approve"); ok {
			select {
			case <-ctx.Done():
			case <-time.After(50 * time.Millisecond): // a person who sees an error clicks again
			}
		}
	}
}

// The tests of every package take the flags, so that `go test ./... -run Chaos
// -chaos.seed=1` is a command that works.
func TestEveryPackageTakesTheFlags(t *testing.T) {
	const flags = "github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/chaosflags"
	list := exec.CommandContext(t.Context(), "go", "list", "-f", `{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}} {{.TestImports}} {{.XTestImports}}{{end}}`, "../../...")
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		if !strings.Contains(line, flags) {
			t.Errorf("its tests do not import %s: %s", flags, line)
		}
	}
}
