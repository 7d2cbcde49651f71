package github

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

type trip func(*http.Request) (*http.Response, error)

func (t trip) RoundTrip(r *http.Request) (*http.Response, error) { return t(r) }

// GitHub that answers nothing is left alone, and found again by one call.
func TestBreaker(t *testing.T) {
	now := time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	down, calls := true, 0
	b := &breaker{clock: func() time.Time { return now }, next: trip(func(*http.Request) (*http.Response, error) {
		if calls++; down {
			return nil, errors.New("i/o timeout")
		}
		return &http.Response{StatusCode: http.StatusBadGateway, Body: http.NoBody}, nil
	})}
	ask := func() error {
		resp, err := b.RoundTrip(httptest.NewRequest(http.MethodGet, "/", nil))
		if err == nil {
			_ = resp.Body.Close()
		}
		return err
	}
	for range 10 {
		if ask() == nil {
			t.Fatal("it answered")
		}
	}
	if calls != silences {
		t.Errorf("%d calls were made, want %d", calls, silences)
	}
	var quiet *silence
	if err := ask(); !errors.As(err, &quiet) || patience(err) != pause {
		t.Errorf("%v asks for %s", err, patience(err))
	}
	now = now.Add(pause)
	if ask(); calls != silences+1 {
		t.Errorf("after the pause %d calls were made", calls-silences)
	}
	now, down = now.Add(pause), false
	for range 3 {
		if err := ask(); err != nil {
			t.Errorf("an answer, whatever its status, ends the silence: %v", err)
		}
	}
}
