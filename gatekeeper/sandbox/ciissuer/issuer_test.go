package ciissuer_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/ciissuer"
	"github.com/go-jose/go-jose/v4"
)

func begin(t *testing.T, o ciissuer.Options) *ciissuer.Issuer {
	t.Helper()
	i, err := ciissuer.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(i.Close)
	return i
}

func get(t *testing.T, url, authorization string) (int, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, body
}

func claimsOf(t *testing.T, raw string) map[string]any {
	t.Helper()
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(raw, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	return claims
}

// A runner's way: the URL and the bearer from the job's environment, the
// audience added as a parameter, the token in "value".
func TestRunnerEndpoint(t *testing.T) {
	now := time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	i := begin(t, ciissuer.Options{Now: func() time.Time { return now }})
	url, bearer := i.Job(ciissuer.Claims(map[string]any{"run_id": "9", "environment": nil}))
	status, body := get(t, url+"&audience=https%3A%2F%2Fgatekeeper.test", "bearer "+bearer)
	var answer struct{ Value string }
	if err := json.Unmarshal(body, &answer); err != nil || status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	claims := claimsOf(t, answer.Value)
	if claims["aud"] != "https://gatekeeper.test" || claims["run_id"] != "9" || claims["iss"] != i.URL() || claims["exp"] != float64(now.Add(5*time.Minute).Unix()) {
		t.Errorf("got %v", claims)
	}
	if _, there := claims["environment"]; there {
		t.Error("a removed claim is there")
	}
	for _, authorization := range []string{"", "bearer wrong", bearer, "Basic " + bearer} {
		if status, _ := get(t, url, authorization); status != http.StatusUnauthorized {
			t.Errorf("%q: got %d", authorization, status)
		}
	}
}

func TestKeysRotate(t *testing.T) {
	i := begin(t, ciissuer.Options{})
	kids := func() (kids []string) {
		var set jose.JSONWebKeySet
		_, body := get(t, i.URL()+"/.well-known/jwks", "")
		if err := json.Unmarshal(body, &set); err != nil {
			t.Fatal(err)
		}
		for _, key := range set.Keys {
			kids = append(kids, key.KeyID)
		}
		return kids
	}
	if err := i.Rotate(); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(kids(), " "); got != "key-1 key-2" {
		t.Errorf("after rotation: %s", got)
	}
	if _, kid := i.Key(); kid != "key-2" || !i.Remove("key-1") || i.Remove("key-1") || i.Remove("key-2") {
		t.Errorf("%s signs; only the older key can be removed, once", kid)
	}
	if got := strings.Join(kids(), " "); got != "key-2" || i.Fetches() != 2 || i.Discoveries() != 0 {
		t.Errorf("after removal: %s, %d fetches, %d discoveries", got, i.Fetches(), i.Discoveries())
	}
	i.Publish([]byte(`{"keys":"none"}`))
	if _, body := get(t, i.URL()+"/.well-known/jwks", ""); string(body) != `{"keys":"none"}` {
		t.Errorf("got %s", body)
	}
}

func TestFaults(t *testing.T) {
	i := begin(t, ciissuer.Options{})
	i.Set(ciissuer.ServerError)
	if status, _ := get(t, i.URL()+"/.well-known/openid-configuration", ""); status != http.StatusInternalServerError {
		t.Errorf("got %d", status)
	}
	i.Set(ciissuer.NoKeys)
	if _, body := get(t, i.URL()+"/.well-known/jwks", ""); strings.TrimSpace(string(body)) != `{"keys":[]}` {
		t.Errorf("got %s", body)
	}
	i.Set(ciissuer.Rubbish)
	if _, body := get(t, i.URL()+"/.well-known/jwks", ""); json.Valid(body) {
		t.Errorf("got %s", body)
	}
	i.Set(ciissuer.Down)
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, i.URL()+"/.well-known/jwks", nil)
	if resp, err := http.DefaultClient.Do(req); err == nil {
		resp.Body.Close()
		t.Errorf("down, and it answered %s", resp.Status)
	}
}

// A slow issuer holds its answer until the fault is over.
func TestSlow(t *testing.T) {
	i := begin(t, ciissuer.Options{})
	i.Set(ciissuer.Slow)
	done := make(chan int)
	go func() {
		req, _ := http.NewRequestWithContext(context.WithoutCancel(t.Context()), http.MethodGet, i.URL()+"/.well-known/jwks", nil)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			done <- 0
			return
		}
		resp.Body.Close()
		done <- resp.StatusCode
	}()
	select {
	case status := <-done:
		t.Fatalf("answered %d while it was slow", status)
	default:
	}
	i.Set(ciissuer.None)
	if status := <-done; status != http.StatusOK {
		t.Errorf("got %d", status)
	}
}
