package ststest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/cloudbox"
	"github.com/gatekeeper-ci/gatekeeper/sts"
)

// Box is a stand-in that counts and fails.
type Box interface {
	URL() string
	Fail(faults ...cloudbox.Fault)
	Calls(path string) int
	Issued() []string
	Hung() <-chan struct{}
}

// Vendor is an exchanger in front of a stand-in where all is well.
type Vendor struct {
	Box Box
	// New makes the exchanger against a URL; it logs to log.
	New  func(url string, log *slog.Logger) gatekeeper.Exchanger
	Spec gatekeeper.CredentialSpec
	// Token is the CI's, where the way wants one.
	Token string
	// Steps are parts of the paths that one exchange calls, in order.
	Steps []string
	// Refusals are answers that no repetition makes better, and what the error
	// has to say.
	Refusals map[string]Refusal
	Throttle cloudbox.Fault
	// Incomplete are answers of the last step that lack something.
	Incomplete []string
	// Secrets are the gatekeeper's own at this vendor.
	Secrets []string
	// Local: asking issues nothing yet, so what fails may be repeated and is
	// CodeUnavailable.
	Local bool
	// Complete says what is missing from a credential, "" for nothing.
	Complete func(gatekeeper.Credential) string
}

// Refusal is a vendor's own answer.
type Refusal struct {
	Fault cloudbox.Fault
	Says  string
}

// Says is a refusal and what the error has to say of it.
func Says(f cloudbox.Fault, text string) Refusal { return Refusal{f, text} }

// most is how often one step is asked at most (threats row 39).
const most = 3

// Run holds an exchanger to what all of them promise. begin makes everything
// anew for each case.
func Run(t *testing.T, begin func(t *testing.T) Vendor) {
	steps, refusals := begin(t).Steps, begin(t).Refusals
	t.Run("success", func(t *testing.T) { success(t, begin(t)) })
	for name, r := range refusals {
		t.Run("refusal, "+name, func(t *testing.T) { refusal(t, begin(t), r) })
	}
	for _, step := range steps {
		t.Run("throttling at "+step, func(t *testing.T) { t.Parallel(); throttling(t, begin, step) })
		t.Run("malformed answer at "+step, func(t *testing.T) { malformed(t, begin(t), step) })
		t.Run("lost answer at "+step, func(t *testing.T) { lost(t, begin(t), cloudbox.Fault{Path: step, After: true}, step) })
		t.Run("hang-up at "+step, func(t *testing.T) { lost(t, begin(t), cloudbox.Fault{Path: step}, step) })
		t.Run("timeout at "+step, func(t *testing.T) { timeout(t, begin(t), step) })
		t.Run("no secret told at "+step, func(t *testing.T) { t.Parallel(); silent(t, begin, step) })
	}
	t.Run("incomplete answer", func(t *testing.T) { incomplete(t, begin(t)) })
	t.Run("out of reach", func(t *testing.T) { outOfReach(t, begin(t)) })
	t.Run("never without a grant", func(t *testing.T) { noGrant(t, begin(t)) })
	t.Run("no way", func(t *testing.T) { noWay(t, begin(t)) })
}

// failed and unknown are the codes of a refusal and of a lost answer.
func (v Vendor) failed() gatekeeper.Code {
	if v.Local {
		return gatekeeper.CodeUnavailable
	}
	return gatekeeper.CodeExchangeFailed
}

func (v Vendor) unknown() gatekeeper.Code {
	if v.Local {
		return gatekeeper.CodeUnavailable
	}
	return gatekeeper.CodeExchangeUnknown
}

// asked says whether a step was asked no more often than it may.
func (v Vendor) asked(n int) bool { return n == 1 || v.Local && n <= most }

// exchange goes the way of the service: through the table of types.
func (v Vendor) exchange(ctx context.Context, t *testing.T) (gatekeeper.Credential, error) {
	t.Helper()
	all := sts.Exchangers{v.Spec.Type: v.New(v.Box.URL(), slog.New(slog.DiscardHandler))}
	return all.Exchange(ctx, Grant(t, v.Spec), v.Token)
}

func success(t *testing.T, v Vendor) {
	c, err := v.exchange(t.Context(), t)
	if err != nil {
		t.Fatal(err)
	}
	if c.Name != "deploy" || c.Type != v.Spec.Type || !c.ExpiresAt.After(time.Now()) || c.ExpiresAt.Location() != time.UTC {
		t.Errorf("%s, %s, until %s", c.Name, c.Type, c.ExpiresAt)
	}
	if missing := v.Complete(c); missing != "" {
		t.Errorf("the credential lacks %s", missing)
	}
	body, err := json.Marshal(c)
	if issued := v.Box.Issued(); err != nil || !v.Local && len(issued) == 0 || len(issued) > 0 && !strings.Contains(string(body), issued[len(issued)-1]) {
		t.Errorf("what the cloud issued last is not what is handed out: %v", err)
	}
	for _, secret := range v.Box.Issued() {
		if strings.Contains(c.Handle, secret) {
			t.Error("the handle is a secret")
		}
	}
	for _, step := range v.Steps {
		if n := v.Box.Calls(step); n != 1 {
			t.Errorf("%s was asked %d times", step, n)
		}
	}
}

func refusal(t *testing.T, v Vendor, r Refusal) {
	v.Box.Fail(r.Fault, r.Fault, r.Fault)
	c, err := v.exchange(t.Context(), t)
	nothing(t, c, err, v.failed())
	if !strings.Contains(err.Error(), r.Says) {
		t.Errorf("got %v, want %q", err, r.Says)
	}
	if n := v.Box.Calls(v.Steps[0]); n > 1 {
		t.Errorf("a refusal was repeated: %d calls", n)
	}
}

func throttling(t *testing.T, begin func(*testing.T) Vendor, step string) {
	for name, fault := range map[string]cloudbox.Fault{"throttled": begin(t).Throttle, "503": {Status: http.StatusServiceUnavailable}, "a balancer's 502": {Status: http.StatusBadGateway, Body: "<html>"}} {
		fault.Path = step
		once := begin(t)
		once.Box.Fail(fault)
		if _, err := once.exchange(t.Context(), t); err != nil || once.Box.Calls(step) != 2 {
			t.Errorf("%s once: %d calls, %v", name, once.Box.Calls(step), err)
		}
		forever := begin(t)
		forever.Box.Fail(fault, fault, fault, fault, fault)
		c, err := forever.exchange(t.Context(), t)
		want := forever.failed()
		if name != "throttled" { // not the cloud's own words: its answer may be lost behind them
			want = forever.unknown()
		}
		nothing(t, c, err, want)
		if n := forever.Box.Calls(step); n != most {
			t.Errorf("%s for ever: %d calls", name, n)
		}
	}
}

// malformed answers may have been sessions.
func malformed(t *testing.T, v Vendor, step string) {
	for _, body := range []string{"<html>", "{}", "null", "[]", `"x"`, `{"access_token":"x`, `{"expires_in":"soon"}`, "\x00"} {
		v.Box.Fail(cloudbox.Fault{Path: step, Body: body})
		before := v.Box.Calls(step)
		c, err := v.exchange(t.Context(), t)
		nothing(t, c, err, v.unknown())
		if n := v.Box.Calls(step) - before; !v.asked(n) {
			t.Errorf("%q: asked %d times", body, n)
		}
	}
}

func incomplete(t *testing.T, v Vendor) {
	for _, body := range v.Incomplete {
		v.Box.Fail(cloudbox.Fault{Path: v.Steps[len(v.Steps)-1], Body: body})
		c, err := v.exchange(t.Context(), t)
		if nothing(t, c, err, v.unknown()); t.Failed() {
			t.Fatalf("%s", body)
		}
	}
}

// lost answers are never asked for again: something may have been issued.
func lost(t *testing.T, v Vendor, fault cloudbox.Fault, step string) {
	v.Box.Fail(fault)
	if v.Local { // it may be asked for again, and is
		v.Box.Fail(fault, fault)
	}
	c, err := v.exchange(t.Context(), t)
	nothing(t, c, err, v.unknown())
	if n := v.Box.Calls(step); !v.asked(n) {
		t.Errorf("asked %d times", n)
	}
}

func timeout(t *testing.T, v Vendor, step string) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	v.Box.Fail(cloudbox.Fault{Path: step, Hang: true})
	go func() {
		select {
		case <-v.Box.Hung():
			cancel() // what ends the wait, be it a deadline or a hang-up
		case <-ctx.Done():
		}
	}()
	c, err := v.exchange(ctx, t)
	nothing(t, c, err, v.unknown())
	if n := v.Box.Calls(step); !v.asked(n) {
		t.Errorf("asked %d times", n)
	}
}

func outOfReach(t *testing.T, v Vendor) {
	for _, url := range []string{"http://127.0.0.1:1", "http://cloud.invalid"} {
		c, err := v.New(url, slog.New(slog.DiscardHandler)).Exchange(t.Context(), Grant(t, v.Spec), v.Token)
		nothing(t, c, err, gatekeeper.CodeUnavailable)
	}
}

// silent: neither tokens nor credentials nor our own secrets are in an error
// or a log, even where answers repeat them (threats row 40).
func silent(t *testing.T, begin func(*testing.T) Vendor, step string) {
	for name, fault := range map[string]cloudbox.Fault{
		"an error of the body": {Status: http.StatusBadRequest, Echo: true},
		"an OAuth error":       {Status: http.StatusBadRequest, Echo: true, Body: `{"error":"ECHO","error_description":"ECHO","error_codes":[1]}`},
		"an error's message":   {Status: http.StatusForbidden, Echo: true, Body: `{"error":{"status":"ECHO","message":"ECHO"}}`},
		"a list of errors":     {Status: http.StatusForbidden, Echo: true, Body: `{"errors":["ECHO"],"message":"ECHO"}`},
		"an answer":            {Echo: true},
		"a lost answer":        {After: true},
		"throttling":           {Status: http.StatusTooManyRequests, Echo: true},
	} {
		v := begin(t)
		log := &bytes.Buffer{}
		e := v.New(v.Box.URL(), slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})))
		fault.Path = step
		v.Box.Fail(fault, fault, fault)
		c, err := e.Exchange(t.Context(), Grant(t, v.Spec), v.Token)
		if err == nil {
			t.Fatalf("%s: it went well", name)
		}
		told := fmt.Sprintf("%v %+v %#v %v", err, err, err, c) + log.String()
		secrets := append(append(v.Box.Issued(), v.Secrets...), strings.Split(v.Token, ".")...)
		for _, secret := range secrets {
			if secret != "" && strings.Contains(told, secret) || strings.Contains(told, "eyJ") {
				t.Errorf("%s tells a secret: %s", name, told)
			}
		}
	}
}

// noGrant: what the state machine did not make opens nothing and asks nobody.
func noGrant(t *testing.T, v Vendor) {
	e := v.New(v.Box.URL(), slog.New(slog.DiscardHandler))
	other := gatekeeper.CredentialSpec{Type: "other"}
	for _, g := range []gatekeeper.Grant{{}, Grant(t, other)} {
		c, err := e.Exchange(t.Context(), g, v.Token)
		nothing(t, c, err, gatekeeper.CodeInternal)
	}
	if n := v.Box.Calls(""); n != 0 {
		t.Errorf("asked %d times", n)
	}
}

// noWay: a way that is none, and a token that is missing, ask nobody.
func noWay(t *testing.T, v Vendor) {
	if v.Spec.SubjectTokenAudience() == "" {
		return
	}
	e := v.New(v.Box.URL(), slog.New(slog.DiscardHandler))
	c, err := e.Exchange(t.Context(), Grant(t, v.Spec), "")
	nothing(t, c, err, gatekeeper.CodeInvalidRequest)
	if n := v.Box.Calls(""); n != 0 {
		t.Errorf("asked %d times", n)
	}
}

func nothing(t *testing.T, c gatekeeper.Credential, err error, want gatekeeper.Code) {
	t.Helper()
	if gatekeeper.CodeOf(err) != want {
		t.Fatalf("got %v, want %s", err, want)
	}
	if c.AWS != nil || c.GCP != nil || c.Azure != nil || c.Vault != nil || c.GitHub != nil || c.OIDC != nil || c.Handle != "" {
		t.Errorf("a credential beside %v", err)
	}
}
