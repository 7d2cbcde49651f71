package oidc

import (
	"encoding/base64"
	"strings"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// maxToken is the longest token that is looked at. Larger ones cost memory
// before anything is proven (CVE-2025-27144); real ones have about 2 KiB.
const maxToken = 16 << 10

// compact is a token in the JWS compact form (RFC 7515 section 7.1), taken
// apart but not verified.
type compact struct {
	alg, kid string
	payload  []byte
	claims   map[string]any
	input    string // what is signed
	sig      []byte
}

// parseCompact takes the compact form only, and only one spelling of it:
// strict base64url refuses flipped unused bits, padding and white space, so
// that equal tokens have equal bytes (threats rows 16 to 18, 20).
func parseCompact(raw string) (compact, error) {
	c, err := takeApart(raw)
	if err != nil {
		return compact{}, err
	}
	if c.claims, err = StrictJSON(c.payload); err != nil {
		return compact{}, invalid("the token's claims: %v", err)
	}
	return c, nil
}

// takeApart checks the form and the header, whatever the payload is.
func takeApart(raw string) (compact, error) {
	if len(raw) > maxToken {
		return compact{}, invalid("the token has %d bytes; at most %d are taken", len(raw), maxToken)
	}
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		return compact{}, invalid("the token has %d parts; a signed JWT in compact form has 3", len(parts))
	}
	var decoded [3][]byte
	for i, part := range parts {
		if strings.ContainsAny(part, "\r\n") { // the one thing that Strict lets pass
			return compact{}, invalid("the token holds line breaks")
		}
		var err error
		if decoded[i], err = base64.RawURLEncoding.Strict().DecodeString(part); err != nil || part == "" {
			return compact{}, invalid("part %d of the token is not strict base64url", i+1)
		}
	}
	c := compact{payload: decoded[1], sig: decoded[2], input: raw[:len(parts[0])+1+len(parts[1])]}
	return c, c.header(decoded[0])
}

// header allows what issuers send and nothing that could say where keys come
// from or what else has to be understood (jku, jwk, x5u, x5c, crit).
func (c *compact) header(body []byte) error {
	header, err := strictObject(body, headerSize)
	if err != nil {
		return invalid("the token's header: %v", err)
	}
	for name, value := range header {
		text, ok := value.(string)
		switch name {
		case "alg":
			c.alg = text
		case "kid":
			c.kid = text
		case "typ":
			ok = ok && strings.EqualFold(text, "JWT")
		case "x5t", "x5t#S256":
		default:
			ok = false
		}
		if !ok {
			return invalid("the token's header parameter %q is not taken", name)
		}
	}
	if c.kid == "" {
		return invalid("the token names no key (kid)")
	}
	return nil
}

func invalid(format string, args ...any) *gatekeeper.Error {
	return gatekeeper.Errorf(gatekeeper.CodeInvalidToken, format, args...)
}
