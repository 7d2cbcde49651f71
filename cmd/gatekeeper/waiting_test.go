package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/api"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/ciissuer"
)

// waiter is a step that waits for people, as a bare connection.
func (p *played) waiter(t *testing.T, token, id string) net.Conn {
	t.Helper()
	address := strings.TrimPrefix(p.cfg.URL, "http://")
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	fmt.Fprintf(conn, "GET /v1/requests/%s?wait=60s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n\r\n", id, address, token)
	return conn
}

// waiting is when so many steps wait.
func (p *played) waiting(t *testing.T, n int) {
	t.Helper()
	for p.svc.store.Watchers() != n {
		if t.Context().Err() != nil {
			t.Fatalf("%d steps wait, want %d", p.svc.store.Watchers(), n)
		}
		runtime.Gosched()
	}
}

func (p *played) opened(t *testing.T) (token, id string) {
	t.Helper()
	token = p.ci.Token(p.cfg.URL, ciissuer.Defaults())
	_, body := p.call(t, http.MethodPost, "/v1/requests", token, `{"environment":"production"}`)
	var r api.Request
	if err := json.Unmarshal([]byte(body), &r); err != nil || r.ID == "" {
		t.Fatal(body)
	}
	return token, r.ID
}

// What a waiting step gets is a whole answer, in one piece, as any other call
// does.
func TestWaitingStepIsAnswered(t *testing.T) {
	p := play(t, nil)
	token, id := p.opened(t)
	conn := p.waiter(t, token, id)
	p.waiting(t, 1)
	if status, body := p.call(t, http.MethodPost, "/v1/requests/"+id+"/cancel", token, ""); status != http.StatusOK {
		t.Fatal(body)
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	var r api.Request
	if err := json.NewDecoder(answer.Body).Decode(&r); err != nil || r.State != "canceled" {
		t.Errorf("got %+v, %v", r, err)
	}
	for name, want := range map[string]string{"Content-Type": "application/json", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Etag": `"2"`} {
		if got := answer.Header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if !answer.Close || answer.Header.Get("Date") == "" || answer.Header.Get("X-Request-Id") == "" {
		t.Errorf("the answer's headers are %v", answer.Header)
	}
	if rest, err := io.ReadAll(conn); err != nil || len(rest) > 0 {
		t.Errorf("%q, %v follow the answer", rest, err)
	}
	if !strings.Contains(p.metricsOf(t), `gatekeeper_http_request_duration_seconds_count{route="GET /v1/requests/{id}",status="200"} 1`) {
		t.Error("the call was not measured, or twice")
	}
}

// Whoever hangs up waits no longer.
func TestHangUpEndsTheWait(t *testing.T) {
	p := play(t, nil)
	token, id := p.opened(t)
	conn := p.waiter(t, token, id)
	p.waiting(t, 1)
	_ = conn.Close()
	p.waiting(t, 0)
}

// A step that waits costs little memory, stacks included: the test's own end
// of its connection is in the figure, too.
func TestWaitersAreLight(t *testing.T) {
	const steps, most = 400, 32 << 10
	p := play(t, nil)
	token, id := p.opened(t)
	_ = p.waiter(t, token, id)
	p.waiting(t, 1)
	before := inUse()
	for range steps {
		_ = p.waiter(t, token, id)
	}
	p.waiting(t, 1+steps)
	each := (inUse() - before) / steps
	for range 50 { // a step waits before its call has left net/http
		if each <= most {
			break
		}
		each = min(each, (inUse()-before)/steps)
	}
	if each > most {
		t.Errorf("each waiting step holds %d bytes, want at most %d", each, most)
	}
	t.Logf("each waiting step holds %d bytes", each)
}

// inUse is what is in use of heap and stacks.
func inUse() int64 {
	var m runtime.MemStats
	for range 3 { // stacks shrink by half at each
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}
