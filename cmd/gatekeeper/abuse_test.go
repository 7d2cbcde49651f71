package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/api"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/ciissuer"
	"golang.org/x/time/rate"
)

// elsewhere is an address that is not the pipeline's: all of 127/8 is
// loopback on Linux.
const elsewhere = "127.0.0.2"

// attacker does its worst from an address until its context ends.
type attacker struct {
	context.Context
	*played
	felt   func() // the gatekeeper defends itself
	forged string // a token of which everything is right but its signature
}

// dial opens a connection from an address.
func (a attacker) dial(from string) (net.Conn, error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	c, err := d.DialContext(a, "tcp", a.ears.Addr().String())
	if err != nil {
		return nil, err
	}
	return leased{c, context.AfterFunc(a, func() { _ = c.Close() })}, nil
}

// leased is a connection that ends with the attack.
type leased struct {
	net.Conn
	keep func() bool
}

// Close implements net.Conn.
func (l leased) Close() error {
	l.keep()
	return l.Conn.Close()
}

// hold sends the beginning of a call, and keeps the connection as long as it
// is let.
func (a attacker) hold(from, text string) {
	c, err := a.dial(from)
	if err != nil {
		return
	}
	defer c.Close()
	_, _ = io.WriteString(c, text)
	if _, err := io.Copy(io.Discard, c); a.Err() == nil {
		a.felt()
		_ = err
	}
}

// ask sends a whole call, or what would be one, and waits for this in the
// answers.
func (a attacker) ask(text io.Reader, want string) {
	c, err := a.dial(elsewhere)
	if err != nil {
		return
	}
	defer c.Close()
	go func() { _, _ = io.Copy(c, text) }()
	lines := bufio.NewScanner(c)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "HTTP/1.1 "+want) {
			a.felt()
		}
	}
}

// endless never ends.
type endless string

func (e endless) Read(p []byte) (int, error) {
	n := 0
	for n+len(e) <= len(p) {
		n += copy(p[n:], e)
	}
	return n, nil
}

const bearing = "Host: x\r\nAuthorization: Bearer x.y.z\r\n"

func (p *played) forged() string {
	token := p.ci.Token(p.cfg.URL, ciissuer.Defaults())
	i := strings.LastIndex(token, ".") + 10
	swap := map[bool]string{true: "B", false: "A"}[token[i] == 'A']
	return token[:i] + swap + token[i+1:]
}

// Whatever strangers do, a step that waits is not dropped, people approve, and
// a pipeline has its credentials; operators see the service well. Each attack
// is waited for until the gatekeeper is seen to defend itself.
func TestHealthyStayServed(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has other loopback addresses than 127.0.0.1 without set-up")
	}
	// Of a chunked body; large, so that parsing is not what the time is spent on.
	chunk := "1000\r\n" + strings.Repeat("x", 0x1000) + "\r\n"
	almost := strings.Repeat("x", 1<<20-1)
	for name, attack := range map[string]func(a attacker){
		"slow headers": func(a attacker) { a.hold(elsewhere, "GET /v1/requests HTTP/1.1\r\nX-Slow: ") },
		"slow bodies": func(a attacker) {
			a.hold(elsewhere, "POST /v1/requests HTTP/1.1\r\n"+bearing+"Content-Length: 60000\r\n\r\n{")
		},
		"silent connections":   func(a attacker) { a.hold(elsewhere, "") },
		"connections of many":  func(a attacker) { a.hold(fmt.Sprintf("127.0.%d.%d", 1+rand.IntN(200), 1+rand.IntN(250)), "GET ") },
		"one that never reads": attacker.neverReads,
		"large headers":        func(a attacker) { a.ask(strings.NewReader("GET / HTTP/1.1\r\nX: "+strings.Repeat("x", 64<<10)), "431") },
		"many headers": func(a attacker) {
			a.ask(strings.NewReader("GET / HTTP/1.1\r\n"+strings.Repeat("a:b\r\n", 5000)+"\r\n"), "400")
		},
		"endless body": func(a attacker) {
			a.ask(io.MultiReader(strings.NewReader("POST /v1/requests HTTP/1.1\r\n"+bearing+"Transfer-Encoding: chunked\r\n\r\n"), endless(chunk)), "400")
		},
		"large callbacks": func(a attacker) {
			a.ask(strings.NewReader("POST /webhook/slack/interactions HTTP/1.1\r\n"+bearing+"Content-Length: 1048576\r\n\r\n"+almost), "503")
		},
		"endless callback": func(a attacker) {
			a.ask(io.MultiReader(strings.NewReader("POST /webhook/slack/interactions HTTP/1.1\r\n"+bearing+"Transfer-Encoding: chunked\r\n\r\n"), endless(chunk)), "4")
		},
		"packed body": func(a attacker) {
			a.ask(strings.NewReader("POST /v1/requests HTTP/1.1\r\n"+bearing+"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\x08\x00"), "400")
		},
		"calls without a token": func(a attacker) { a.ask(endless("GET /openapi.yaml HTTP/1.1\r\nHost: x\r\n\r\n"), "429") },
		"HTTP/2":                func(a attacker) { a.ask(strings.NewReader("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), "400") },
		"forged tokens": func(a attacker) {
			call := "GET /v1/requests/req_x HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + a.forged + "\r\n\r\n"
			a.ask(endless(call), "429")
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := play(t, func(s *stage) { s.cfg.Limits = limitsConfig{Connections: 100, FailuresPerAddress: 1, bodies: 16 << 20} })
			token, id := p.opened(t)
			waiter := p.waiter(t, token, id)
			p.waiting(t, 1)
			p.attackedBy(t, 64, attack)
			m := p.asked(t)
			var answer *http.Response
			err := os.ErrDeadlineExceeded
			for clicks := 0; errors.Is(err, os.ErrDeadlineExceeded) && clicks < 15; clicks++ { // as people click again where Slack says that a click did not arrive
				_ = p.decide(t.Context(), m, "U0BOB", "approve")
				_ = waiter.SetReadDeadline(time.Now().Add(2 * time.Second))
				answer, err = http.ReadResponse(bufio.NewReader(waiter), nil)
			}
			var r api.Request
			if err != nil {
				t.Error("the step that waited lost its connection:", err)
			} else if err := json.NewDecoder(answer.Body).Decode(&r); err != nil || r.State != gatekeeper.Approved {
				t.Errorf("the step that waited got %s, %+v, %v", answer.Status, r, err)
			}
			if got := <-p.step(t, nil, "--timeout", "120s"); got.code != 0 {
				t.Errorf("exit %d\n%s", got.code, got.stderr)
			}
			if status, body := p.admin(t, "/readyz"); status != http.StatusOK {
				t.Errorf("readyz: %d %s", status, body)
			}
		})
	}
}

// attackedBy starts so many at once, and returns when the attack is felt.
// Whoever is sent away comes again, all of them at a rate that leaves the
// test's own machine some time for the others.
func (p *played) attackedBy(t *testing.T, many int, attack func(attacker)) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	felt := make(chan struct{})
	a := attacker{ctx, p, sync.OnceFunc(func() { close(felt) }), p.forged()}
	pace := rate.NewLimiter(500, many)
	var wg sync.WaitGroup
	for range many {
		wg.Go(func() {
			for pace.Wait(ctx) == nil {
				attack(a)
			}
		})
	}
	t.Cleanup(func() { stop(); wg.Wait() })
	select {
	case <-felt:
	case <-time.After(60 * time.Second):
		t.Fatal("the attack was not felt")
	}
}

// neverReads asks for more than any buffer holds, and reads none of it.
func (a attacker) neverReads() {
	c, err := a.dial(elsewhere)
	if err != nil {
		return
	}
	defer c.Close()
	_ = c.(leased).Conn.(*net.TCPConn).SetReadBuffer(4096)
	if _, err := io.Copy(c, endless("GET /openapi.yaml HTTP/1.1\r\nHost: x\r\n\r\n")); err != nil {
		a.felt()
	}
}
