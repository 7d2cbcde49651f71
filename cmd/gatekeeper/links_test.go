package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/ciissuer"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/githubbox"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/postgres"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/slackbox"
)

// linkFaults are how a way to a server fails.
func linkFaults(t *testing.T) map[string]func(*testing.T, *link) {
	portal := rubbish(t)
	return map[string]func(*testing.T, *link){
		"down":    func(_ *testing.T, l *link) { l.off() },
		"slow":    func(t *testing.T, l *link) { l.slow(t, 30*time.Millisecond) },
		"reset":   func(t *testing.T, l *link) { l.resets(t) },
		"rubbish": func(t *testing.T, l *link) { l.leads(t, portal) },
	}
}

// rubbish answers whatever it is asked as a portal does that wants a sign-in.
func rubbish(t *testing.T) (addr string) {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	const page = "<html>Please sign in to use this network</html>"
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
				_, _ = conn.Read(make([]byte, 64<<10))
				_, _ = fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", len(page), page)
			}()
		}
	}()
	return l.Addr().String()
}

// behind is the URL as seen through a new link.
func behind(t *testing.T, raw string) (*link, string) {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	l := newLink(t, u.Host)
	u.Host = l.addr()
	return l, u.String()
}

// One link after the other fails in each way while one step waits and another
// one comes: neither gives up, nothing is lost or doubled, and both have their
// credentials when the link is whole again.
func TestEachLinkFails(t *testing.T) {
	t.Parallel() // it mostly waits
	cases := map[string]func(*testing.T){}
	for name, begin := range map[string]func(*testing.T, *stage) *link{
		"database": func(t *testing.T, s *stage) *link {
			pg := postgres.Start(t, postgres.Options{})
			l, through := behind(t, pg.Database())
			s.cfg.Database = through
			path, env := s.configFile(t)
			if got := command(t.Context(), env, "keys", "init", "--config", path); got.code != 0 {
				t.Fatalf("exit %d\n%s", got.code, got.stderr)
			}
			return l
		},
		"slack": func(t *testing.T, s *stage) (l *link) {
			l, s.cfg.Slack.APIURL = behind(t, s.cfg.Slack.APIURL)
			return l
		},
		"sts": func(t *testing.T, s *stage) (l *link) {
			l, s.cfg.Clouds.STSEndpoint = behind(t, s.cfg.Clouds.STSEndpoint)
			return l
		},
	} {
		cases[name] = func(t *testing.T) {
			var l *link
			p := play(t, func(s *stage) {
				s.rules(bobApproves)
				s.cfg.backoff = 100 * time.Millisecond
				l = begin(t, s)
			})
			c := &crossed{played: p}
			for fault, do := range linkFaults(t) {
				c.t = t
				t.Run(fault, func(t *testing.T) {
					c.t = t
					c.through(func() { do(t, l) }, func() { l.heal(t) }, fault != "slow")
				})
			}
			c.t = t
			c.holds()
		}
	}
	together(t, cases)
}

// crossed are deployments over a link that fails.
type crossed struct {
	*played
	t    *testing.T
	runs int
}

func (c *crossed) begin() (run int, done <-chan outcomeOf) {
	c.runs++
	return c.runs, c.step(c.t, runClaims(c.runs), "--timeout", "120s", "--output", "json")
}

// ask waits for the run's message.
func (c *crossed) ask(run int) slackbox.Message {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), 60*time.Second)
	defer cancel()
	m, err := c.slack.WaitMessage(ctx, asksFor(run))
	if err != nil {
		c.t.Fatalf("run %d: nobody was asked: %v", run, err)
	}
	return m
}

func (c *crossed) click(m slackbox.Message) {
	c.t.Helper()
	b, _ := buttonOf(m, "Approve")
	clicked(c.t, c.played, slackbox.Click{User: "U0BOB", Channel: m.Channel, TS: m.TS, ActionID: b.ActionID, Value: b.Value})
}

// through has two steps in the fault, one that waits already. loud: something
// in the log tells that the fault was met.
func (c *crossed) through(fault, heal func(), loud bool) {
	waits, waiting := c.begin()
	m := c.ask(waits)
	before := len(c.log.String())
	fault()
	comes, coming := c.begin()
	b, _ := buttonOf(m, "Approve")
	early, err := c.slack.Click(c.t.Context(), slackbox.Click{User: "U0BOB", Channel: m.Channel, TS: m.TS, ActionID: b.ActionID, Value: b.Value})
	if err != nil {
		c.t.Fatal(err)
	}
	if loud {
		until(c.t, "the fault is met", func() bool {
			said := c.log.String()[before:]
			return strings.Contains(said, `"level":"WARN"`) || strings.Contains(said, `"level":"ERROR"`)
		})
		select {
		case got := <-coming:
			c.t.Fatalf("the step that came gave up: exit %d\n%s", got.code, got.stderr)
		default:
		}
		heal()
	}
	if !early.Acked() {
		c.click(m)
	}
	c.ends(waits, waiting)
	c.click(c.ask(comes))
	c.ends(comes, coming)
	heal()
}

func (c *crossed) ends(run int, done <-chan outcomeOf) {
	c.t.Helper()
	if got := <-done; got.code != 0 {
		c.t.Errorf("run %d: exit %d\n%s", run, got.code, got.stderr)
	}
}

func (c *crossed) holds() {
	c.t.Helper()
	c.verified(c.t)
	if n := c.askedTimes(); n != c.runs {
		c.t.Errorf("%d messages for %d requests", n, c.runs)
	}
	count := c.events(c.t, "vote.counted", "redemption.succeeded", "redemption.unknown")
	if n := count["vote.counted"]; n != c.runs {
		c.t.Errorf("%d votes were counted for %d requests", n, c.runs)
	}
	if n, known := len(c.sts.Sessions()), count["redemption.succeeded"]+count["redemption.unknown"]; n > known || n < c.runs {
		c.t.Errorf("%d sessions were issued, the ledger knows of %d", n, known)
	}
}

// The issuer's keys are rotated while it fails in each way, so that every call
// of the steps needs an answer from it: they wait it out.
func TestIssuerFails(t *testing.T) {
	t.Parallel() // it mostly waits
	cases := map[string]func(*testing.T){}
	for name, fault := range map[string]ciissuer.Fault{
		"down": ciissuer.Down, "500": ciissuer.ServerError, "no keys": ciissuer.NoKeys, "rubbish": ciissuer.Rubbish, "slow": ciissuer.Slow,
	} {
		cases[name] = func(t *testing.T) {
			var ahead atomic.Int64
			p := play(t, func(s *stage) {
				s.rules(bobApproves)
				s.cfg.tokenClock = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
			})
			c := &crossed{played: p, t: t}
			waits, waiting := c.begin()
			m := c.ask(waits)
			asked := p.ci.Fetches() + p.ci.Discoveries()
			ahead.Store(int64(20 * time.Second)) // keys may be fetched again
			p.ci.Set(fault)
			if err := p.ci.Rotate(); err != nil {
				t.Fatal(err)
			}
			comes, coming := c.begin()
			until(t, "the fault is met", func() bool { return p.ci.Fetches()+p.ci.Discoveries() > asked })
			c.click(m)
			p.ci.Set(ciissuer.None)
			ahead.Store(int64(40 * time.Second))
			c.ends(waits, waiting)
			c.click(c.ask(comes))
			c.ends(comes, coming)
			c.holds()
		}
	}
	together(t, cases)
}

// together runs tests at once that wait, however many of those may go on
// beside each other by -parallel.
func together(t *testing.T, tests map[string]func(*testing.T)) {
	var wg sync.WaitGroup
	for name, test := range tests {
		wg.Go(func() { t.Run(name, test) })
	}
	wg.Wait()
}

// GitHub fails in each way while it tells of a deployment and wants its
// verdict: people are asked once, and it hears the verdict once it is back.
func TestGitHubLinkFails(t *testing.T) {
	t.Parallel() // it mostly waits
	cases := map[string]func(*testing.T){}
	for fault, do := range linkFaults(t) {
		cases[fault] = func(t *testing.T) {
			var l *link
			p, box := stageWithGitHub(t, func(s *stage, _ *githubbox.GitHub) {
				s.cfg.backoff = 50 * time.Millisecond
				l, s.cfg.GitHub.APIURL = behind(t, s.cfg.GitHub.APIURL)
			})
			before := len(p.log.String())
			do(t, l)
			deploys(t, box, 7001)
			if fault != "slow" {
				until(t, "the fault is met", func() bool { return strings.Contains(p.log.String()[before:], `"level":"WARN"`) })
				l.heal(t)
			}
			m := p.asked(t)
			before = len(p.log.String())
			do(t, l)
			if err := p.decide(t.Context(), m, "U0BOB", "approve"); err != nil {
				t.Fatal(err)
			}
			if fault != "slow" {
				until(t, "the fault is met again", func() bool { return strings.Contains(p.log.String()[before:], `"level":"WARN"`) })
				l.heal(t)
			}
			if report := told(t, box, 7001, 1); report.State != "approved" {
				t.Fatalf("GitHub was told %+v", report)
			}
			if got := <-p.step(t, nil); got.code != 0 {
				t.Errorf("exit %d\n%s", got.code, got.stderr)
			}
			if n := p.askedTimes(); n != 1 {
				t.Errorf("%d messages were posted, want one", n)
			}
			p.verified(t)
		}
	}
	together(t, cases)
}

// One replica is cut off from the database while the other one serves: it says
// so and decides nothing, people click at the other one, and the step that
// waits at the first hears of it when the two are together again.
func TestPartitionedReplica(t *testing.T) {
	t.Parallel() // it mostly waits
	pg := postgres.Start(t, postgres.Options{})
	direct := pg.Database()
	l, through := behind(t, direct)
	p := onPostgresAt(t, through, func(s *stage) { s.rules(bobApproves) })
	p.cfg.Database = direct
	_, other := p.second(t)
	done := p.step(t, runClaims(1), "--timeout", "120s")
	m, err := p.slack.WaitMessage(t.Context(), asksFor(1))
	if err != nil {
		t.Fatal(err)
	}
	b, _ := buttonOf(m, "Approve")
	l.hangs(t)
	if status, body := p.admin(t, "/readyz"); status != http.StatusServiceUnavailable || !strings.Contains(body, `"storage":"out of reach"`) {
		t.Errorf("readyz: %d %s", status, body)
	}
	p.slack.SetCallbacks(other+"/webhook/slack/interactions", other+"/webhook/slack/commands", other+"/webhook/slack/events")
	if err := p.decide(t.Context(), m, "U0BOB", "approve"); err != nil {
		t.Fatal(err)
	}
	token := p.ci.Token(p.cfg.URL, runClaims(1))
	until(t, "the other one decides", func() bool {
		status, body := callAt(t, other, http.MethodGet, "/v1/requests/"+b.Value+"?wait=10s", token, "")
		return status == http.StatusOK && strings.Contains(body, `"state":"approved"`)
	})
	select {
	case got := <-done:
		t.Fatalf("the step at the replica that is cut off ended: exit %d\n%s", got.code, got.stderr)
	default:
	}
	l.heal(t)
	if got := <-done; got.code != 0 {
		t.Errorf("exit %d\n%s", got.code, got.stderr)
	}
	if n, messages := len(p.sts.Sessions()), p.askedTimes(); n != 1 || messages != 1 {
		t.Errorf("%d sessions, %d messages", n, messages)
	}
	p.verified(t)
}
