package oidc

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

type vectors struct {
	TestGroups []struct {
		Comment string          `json:"comment"`
		Public  json.RawMessage `json:"public"`
		Private json.RawMessage `json:"private"`
		Tests   []struct {
			ID      int             `json:"tcId"`
			Comment string          `json:"comment"`
			JWS     json.RawMessage `json:"jws"`
			Result  string          `json:"result"`
		} `json:"tests"`
	} `json:"testGroups"`
}

// accepted says whether a token would verify with that key set, under the
// widest algorithms that an issuer may be given.
func accepted(raw string, set []byte) bool {
	algs := []string{"RS256", "ES256"}
	c, err := takeApart(raw)
	if err != nil || !slices.Contains(algs, c.alg) {
		return false
	}
	keys, err := parseKeys(set, algs)
	if err != nil {
		return false
	}
	key, ok := keys[c.kid]
	return ok && (key.alg == "" || key.alg == c.alg) && key.verify(c.alg, c.input, c.sig) == nil
}

// asSet makes a group's key a set, as an issuer publishes it.
func asSet(key json.RawMessage) []byte {
	var set struct {
		Keys json.RawMessage `json:"keys"`
	}
	if json.Unmarshal(key, &set) == nil && set.Keys != nil {
		return key
	}
	return append(append([]byte(`{"keys":[`), key...), `]}`...)
}

// Threats row 13, by Project Wycheproof's vectors: what is invalid never
// verifies, and valid tokens of the two algorithms that can be trusted do.
func TestWycheproof(t *testing.T) {
	// ROCA (CVE-2017-15361) is a flaw of keys that an issuer made, and an issuer
	// whose key is broken is broken; it is not looked for.
	notLookedFor := map[string][]int{"json_web_key_test.json": {7}}
	for _, name := range []string{"json_web_signature_test.json", "json_web_key_test.json"} {
		body, err := os.ReadFile(filepath.Join("testdata", "wycheproof", name))
		if err != nil {
			t.Fatal(err)
		}
		var v vectors
		if err := json.Unmarshal(body, &v); err != nil {
			t.Fatal(err)
		}
		valid, refused := 0, 0
		for _, g := range v.TestGroups {
			key := g.Public
			if key == nil {
				key = g.Private // symmetric: nothing may ever verify with it
			}
			for _, c := range g.Tests {
				var raw string
				_ = json.Unmarshal(c.JWS, &raw) // not a string: another form than the compact one
				got := accepted(raw, asSet(key))
				switch {
				case c.Result == "invalid" && got && !slices.Contains(notLookedFor[name], c.ID):
					t.Errorf("%s %d (%s, %s): an invalid token verifies", name, c.ID, g.Comment, c.Comment)
				case c.Result == "invalid":
					refused++
				case got:
					valid++
				case wanted(raw, key):
					t.Errorf("%s %d (%s, %s): a valid token does not verify", name, c.ID, g.Comment, c.Comment)
				}
			}
		}
		if valid < 1 || refused < 15 {
			t.Errorf("%s: %d valid and %d refused", name, valid, refused)
		}
		t.Logf("%s: %d valid ones verify, %d invalid ones do not", name, valid, refused)
	}
}

// wanted says whether a valid token is one that we would take: of an
// algorithm of ours, naming the key, by a public key.
func wanted(raw string, key []byte) bool {
	c, err := takeApart(raw)
	keys, keyErr := parseKeys(asSet(key), []string{"RS256", "ES256"})
	return err == nil && keyErr == nil && (c.alg == "RS256" || c.alg == "ES256") && keys[c.kid].key != nil
}
