package oidc_test

import (
	"context"
	"crypto"
	"encoding/json"
	"testing"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/ciissuer"

	goidc "github.com/coreos/go-oidc/v3/oidc"
)

// oracle wants go-oidc to take a token, too: whatever we check ourselves, we
// may be stricter than it, and never laxer.
func (b bench) oracle(t testing.TB, raw string) {
	t.Helper()
	ctx := context.Background()
	key, _ := b.Key() // not fetched: the issuer may be at fault in a test
	keys := &goidc.StaticKeySet{PublicKeys: []crypto.PublicKey{key.Public()}}
	v := goidc.NewVerifier(b.URL(), keys, &goidc.Config{
		ClientID: ours, SupportedSigningAlgs: []string{goidc.RS256}, Now: b.Now,
		SkipExpiryCheck: true, // it grants no leeway on exp; TestTimes has ours
	})
	if _, err := v.Verify(ctx, raw); err != nil {
		t.Errorf("it is taken here, and not by go-oidc: %v", err)
	}
}

// FuzzSigned gives whatever header and claims a true signature.
func FuzzSigned(f *testing.F) {
	b := begin(f)
	key, kid := b.Key()
	header := `{"alg":"RS256","kid":"` + kid + `","typ":"JWT"}`
	claims, err := json.Marshal(b.Stamped(ours, ciissuer.Defaults()))
	if err != nil {
		f.Fatal(err)
	}
	payload := string(claims)
	for _, seed := range [][2]string{
		{header, payload}, {header, payload[:len(payload)-1] + `,"sub":"twice"}`}, {header, "{}"}, {header, `{"a":[{"b":[[[[[[1]]]]]]}]}`},
		{`{"alg":"RS256","kid":"` + kid + `","crit":["b64"],"b64":false}`, payload}, {`{"alg":"none"}`, payload},
		{header, payload[:len(payload)-1] + `,"\u0061\ud83d\ude00":"\n\\ud800"}`},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, header, payload string) {
		raw := ciissuer.Sign(key, []byte(header), []byte(payload))
		if _, err := b.v.Verify(context.Background(), raw, ""); err == nil {
			b.oracle(t, raw)
		}
	})
}
