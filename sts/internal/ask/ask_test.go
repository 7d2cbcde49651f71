package ask

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// A token is sent to the host that was named, and to no other.
func TestNoRedirect(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("followed") }))
	t.Cleanup(elsewhere.Close)
	server := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	t.Cleanup(server.Close)
	err := New(Options{}).Do(t.Context(), Call{Cloud: "it", URL: server.URL, JSON: map[string]string{"jwt": "secret"}}, nil)
	if gatekeeper.CodeOf(err) != gatekeeper.CodeExchangeFailed || !strings.Contains(err.Error(), "points elsewhere") {
		t.Errorf("got %v", err)
	}
}

// The cloud's wish is obeyed where it can be, and told where it cannot.
func TestRetryAfter(t *testing.T) {
	for wish, waits := range map[string]time.Duration{"2": 2 * time.Second, "": 300 * time.Millisecond, "soon": 300 * time.Millisecond} {
		var waited []time.Duration
		asked := 0
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if asked++; asked == 1 {
				w.Header().Set("Retry-After", wish)
				w.WriteHeader(http.StatusTooManyRequests)
				return
			}
			_, _ = w.Write([]byte("{}"))
		}))
		t.Cleanup(server.Close)
		c := New(Options{Wait: func(_ context.Context, d time.Duration) error { waited = append(waited, d); return nil }})
		if err := c.Do(t.Context(), Call{Cloud: "it", URL: server.URL}, &struct{}{}); err != nil || len(waited) != 1 || waited[0] != waits {
			t.Errorf("%q: waited %v, %v", wish, waited, err)
		}
	}
	if err := pause(t.Context(), time.Hour); err == nil {
		t.Error("it waits an hour")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := pause(ctx, 2*time.Second); err == nil {
		t.Error("it waits beyond the deadline")
	}
}

func TestText(t *testing.T) {
	const token = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJyZXBvIn0.c2lnbmF0dXJl"
	for message, want := range map[string]string{
		"":                                      "",
		"no such role":                          "no such role",
		"two\r\nlines":                          "two",
		"\x1b[31mred\u202e":                     "[31mred",
		"bad jwt " + token:                      "",
		"bad jwt " + token[10:30] + "…":         "",
		strings.Repeat("ü", 301):                strings.Repeat("ü", 300) + "…",
		"subject repo:acme/payments is unknown": "subject repo:acme/payments is unknown",
	} {
		if got := Text(message, token, "short"); got != want {
			t.Errorf("%q: got %q", message, got)
		}
	}
	if got := Text("it is short", "short"); got != "" {
		t.Errorf("a short secret is told: %q", got)
	}
	if got := Word("AADSTS700213"); got != "AADSTS700213" {
		t.Error(got)
	}
	if got := Word(token); strings.Contains(got, "eyJ") {
		t.Error(got)
	}
}

// FuzzText: whatever a cloud says, no window of the secret is told.
func FuzzText(f *testing.F) {
	f.Add("x eyJhbGciOiJSUzI1NiJ9 y", "eyJhbGciOiJSUzI1NiJ9")
	f.Fuzz(func(t *testing.T, message, secret string) {
		got := Text(message, secret)
		for i := 0; i+window <= len(secret); i++ {
			if strings.Contains(got, secret[i:i+window]) {
				t.Errorf("%q tells %q", got, secret)
			}
		}
		if strings.ContainsAny(got, "\n\r\x1b") {
			t.Errorf("%q", got)
		}
	})
}
