package main

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/ciissuer"
)

func handlers(ci *ciissuer.Issuer) map[string]http.Handler {
	return map[string]http.Handler{ciHost: ci.Handler()}
}

// contenders are those that are compared; what is not on PATH says so.
func contenders(o peerOptions, ci *ciissuer.Issuer) []*contender {
	return []*contender{
		{name: "the limit: one bare RSA-2048 verification", start: bareStart(o, ci)},
		{name: "gatekeeper: token → recorded decision", start: gatekeeperStart(o, ci, true)},
		{name: "gatekeeper: token → OIDC token", start: gatekeeperStart(o, ci, false)},
		{name: "fulcio: token → certificate", start: fulcioStart(o, ci), why: missing(o.fulcio)},
		{name: "versitygw: token → session", start: versitygwStart(o, ci), why: missing(o.versitygw)},
	}
}

func missing(program string) string {
	if _, err := exec.LookPath(program); err != nil {
		return program + " is not on PATH"
	}
	return ""
}

// tokensFor mints a round's tokens, each of a job of its own, before the time
// is taken.
func tokensFor(o peerOptions, ci *ciissuer.Issuer, audience string) []string {
	tokens := make([]string, o.warm+o.each)
	var wg sync.WaitGroup
	for part := range 2 {
		wg.Go(func() {
			for i := part; i < len(tokens); i += 2 {
				claims := maps.Clone(ciissuer.Defaults())
				claims["run_id"], claims["check_run_id"] = fmt.Sprint(100000+i), fmt.Sprint(900000+i)
				tokens[i] = ci.Token(audience, claims)
			}
		})
	}
	wg.Wait()
	return tokens
}

// repeat does something so many times, so many at once.
func repeat(first, times, workers int, f *figures, do func(n int) error) {
	began := time.Now()
	queue := make(chan int)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for n := range queue {
				f.time(func() error { return do(n) })
			}
		})
	}
	for n := range times {
		queue <- first + n
	}
	close(queue)
	wg.Wait()
	f.took = time.Since(began)
}

// bare is the verification of a token's signature and nothing else, in this
// process.
type bare struct {
	key    *rsa.PublicKey
	tokens []string
}

func bareStart(o peerOptions, ci *ciissuer.Issuer) func(context.Context, string) (runner, error) {
	return func(context.Context, string) (runner, error) {
		key, _ := ci.Key()
		return &bare{key: &key.PublicKey, tokens: tokensFor(o, ci, "bare")}, nil
	}
}

func (b *bare) exchange(_ context.Context, n int) error {
	at := strings.LastIndexByte(b.tokens[n], '.')
	signature, err := base64.RawURLEncoding.DecodeString(b.tokens[n][at+1:])
	if err != nil {
		return err
	}
	sum := sha256.Sum256([]byte(b.tokens[n][:at]))
	return rsa.VerifyPKCS1v15(b.key, crypto.SHA256, sum[:], signature)
}

func (b *bare) cpu() time.Duration { return ownTime() }
func (b *bare) rss() int64         { return 0 }
func (b *bare) end()               {}

// post makes one call, and wants success with something in the answer.
func post(ctx context.Context, client *http.Client, url, kind, token, body, want string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", kind)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	answer, err := client.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	raw, err := io.ReadAll(answer.Body)
	if err == nil && (answer.StatusCode/100 != 2 || !strings.Contains(string(raw), want)) {
		err = fmt.Errorf("%s: %s %.300s", url, answer.Status, raw)
	}
	return err
}

func callers(o peerOptions) *http.Client {
	return &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: o.workers}, Timeout: 30 * time.Second}
}

func bounds(rates []float64) (best, worst float64) { return slices.Max(rates), slices.Min(rates) }

// grouped writes a rate with its thousands apart.
func grouped(rate float64) string {
	s := fmt.Sprintf("%.0f", rate)
	for at := len(s) - 3; at > 0; at -= 3 {
		s = s[:at] + "," + s[at:]
	}
	return s
}
