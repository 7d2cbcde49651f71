package slackbox

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"strconv"
	"time"
)

// Fault makes calls fail as a vendor's do. The first fault that fits a call
// is taken.
type Fault struct {
	Method string `json:"method"` // "" or "*": any; "response_url" too
	Times  int    `json:"times"`  // 0: once; negative: until ClearFaults

	Status     int      `json:"status"`      // HTTP; with Error alone 200, with "ratelimited" 429
	Error      string   `json:"error"`       // {"ok":false,"error":…}
	RetryAfter int      `json:"retry_after"` // seconds, as the header
	Body       string   `json:"body"`        // instead of JSON, as a proxy in between would answer
	Delay      Duration `json:"delay"`       // before everything else; alone, the call then works
	Reset      bool     `json:"reset"`       // the connection is cut instead of an answer
	// After does the work first: it is posted, and the answer is lost.
	After bool `json:"after"`
}

// Duration is written "1.5s" in JSON.
type Duration time.Duration

// UnmarshalJSON reads what time.ParseDuration does.
func (d *Duration) UnmarshalJSON(raw []byte) error {
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return err
	}
	parsed, err := time.ParseDuration(text)
	*d = Duration(parsed)
	return err
}

// MarshalJSON writes what UnmarshalJSON reads.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(time.Duration(d).String()) }

// Fail sets a fault, behind those already set.
func (w *Workspace) Fail(f Fault) {
	if f.Times == 0 {
		f.Times = 1
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.faults = append(w.faults, &f)
}

// ClearFaults lets everything work again.
func (w *Workspace) ClearFaults() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.faults = nil
}

// takeFault needs w.mu.
func (w *Workspace) takeFault(method string) *Fault {
	for _, f := range w.faults {
		if f.Times == 0 || f.Method != "" && f.Method != "*" && f.Method != method {
			continue
		}
		if f.Times > 0 {
			f.Times--
		}
		taken := *f
		return &taken
	}
	return nil
}

// wait is over after the delay; false: whoever asked, or the workspace, left.
func (f *Fault) wait(asking, open context.Context) bool {
	if f == nil || f.Delay <= 0 {
		return true
	}
	timer := time.NewTimer(time.Duration(f.Delay))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-asking.Done():
	case <-open.Done():
	}
	return false
}

func (f *Fault) answers() bool {
	return f != nil && (f.Status != 0 || f.Error != "" || f.Reset || f.Body != "")
}

func (f *Fault) status() int {
	switch {
	case f.Reset:
		return 0
	case f.Status != 0:
		return f.Status
	case f.Error == "ratelimited":
		return http.StatusTooManyRequests
	}
	return http.StatusOK
}

func (f *Fault) answer(rw http.ResponseWriter) {
	if f.Reset {
		reset(rw)
		return
	}
	if f.RetryAfter > 0 {
		rw.Header().Set("Retry-After", strconv.Itoa(f.RetryAfter))
	}
	if f.Error == "" {
		rw.Header().Set("Content-Type", "text/html")
		rw.WriteHeader(f.status())
		_, _ = rw.Write([]byte(f.Body))
		return
	}
	writeJSON(rw, f.status(), reply{"ok": false, "error": f.Error})
}

// reset cuts the connection with RST, so that the other side cannot take it
// for a proper end.
func reset(rw http.ResponseWriter) {
	hijacker, ok := rw.(http.Hijacker)
	if !ok {
		panic(http.ErrAbortHandler)
	}
	conn, _, err := hijacker.Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}
