package api

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// Whoever asks too often is slowed down, each request by itself, and what is
// remembered for that is bounded.
func TestPolls(t *testing.T) {
	now := time.Unix(0, 0)
	p := newPolls(func() time.Time { return now })
	for i, c := range []struct {
		id   string
		wait time.Duration
		want bool
	}{
		{"a", 0, false}, {"a", time.Second, true}, {"b", 0, false}, {"a", 5 * time.Second, false}, {"a", 4 * time.Second, false}, {"a", 3 * time.Second, true},
	} {
		now = now.Add(c.wait)
		if got := p.tooSoon(c.id); got != c.want {
			t.Errorf("call %d of %s: %v", i, c.id, got)
		}
	}
	for i := range 3 * maxPolls {
		p.tooSoon(fmt.Sprint(i))
	}
	if len(p.last) > maxPolls {
		t.Errorf("%d requests are remembered", len(p.last))
	}
	now = now.Add(time.Minute)
	if p.tooSoon("x"); len(p.last) != 1 {
		t.Errorf("%d requests are remembered a minute later", len(p.last))
	}
}

func TestPreferWait(t *testing.T) {
	for header, want := range map[string]time.Duration{
		"": 0, "wait=30": 30 * time.Second, "respond-async, Wait=5": 5 * time.Second, `wait="7"`: 7 * time.Second, "wait=99999999999": time.Minute, "wait=9999999999999999999": 0,
		"wait=3600": time.Minute, "wait=100000": time.Minute, "wait=-1": 0, "wait": 0, "waits=3": 0,
	} {
		if got := preferWait(&http.Request{Header: http.Header{"Prefer": {header}}}); got != want {
			t.Errorf("%q: %s, want %s", header, got, want)
		}
	}
}

// Descriptions hold what RFC 6749 lets them hold, whatever a person wrote.
func TestASCIIOnly(t *testing.T) {
	if got := asciiOnly("naïve \"x\" \\ \n\u202e~"); got != "na?ve 'x' ? ??~" {
		t.Errorf("%q", got)
	}
}

// A form is refused with one of the standards' errors, or says one
// environment and a token.
func FuzzTokenForm(f *testing.F) {
	const good = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&subject_token=x&subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Ajwt"
	f.Add(good + "&scope=environment%3Aproduction+credential%3Adeploy&audience=deploy")
	f.Add(good + "&resource=https%3A%2F%2Fgatekeeper.test%2Fenvironments%2Fa%252Fb")
	f.Add("grant_type=a&grant_type=b")
	s := &server{Options: Options{URL: "https://gatekeeper.test"}}
	f.Fuzz(func(t *testing.T, body string) {
		r := httptest.NewRequest(http.MethodPost, "/oauth2/token", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		ask, err := s.tokenAsk(httptest.NewRecorder(), r)
		switch gatekeeper.CodeOf(err) {
		case "":
			if ask.environment == "" || ask.subject == "" || ask.name != "" && len(ask.credentials) == 0 {
				t.Fatalf("%q became %+v", body, ask)
			}
		case gatekeeper.CodeInvalidRequest, codeUnsupportedGrant, codeInvalidScope, codeInvalidTarget:
		default:
			t.Fatalf("%q: %v", body, err)
		}
	})
}
