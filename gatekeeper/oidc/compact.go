package oidc

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/go-json-experiment/json/jsontext"
)

// maxToken is the longest token that is looked at. Larger ones cost memory
// before anything is proven (CVE-2025-27144); real ones have about 2 KiB.
const maxToken = 16 << 10

// maxDepth bounds nesting of claims; documented ones have two levels.
const maxDepth = 8

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
	header, err := StrictJSON(body)
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

// StrictJSON reads one JSON object: UTF-8, names compared as they are, no name
// twice, nothing behind it. encoding/json alone takes "SUB" and a second "sub"
// for "sub" when it fills a struct, and the last of duplicates (row 18).
// Numbers stay as written (json.Number).
func StrictJSON(body []byte) (map[string]any, error) {
	d := jsontext.NewDecoder(bytes.NewBuffer(body)) // refuses duplicates and invalid UTF-8 by itself
	if d.PeekKind() != '{' {
		return nil, errors.New("it is no JSON object")
	}
	value, err := strictValue(d)
	if err != nil {
		return nil, err
	}
	if _, err := d.ReadToken(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the object")
	}
	object, _ := value.(map[string]any)
	return object, nil
}

func strictValue(d *jsontext.Decoder) (any, error) {
	token, err := d.ReadToken()
	switch {
	case errors.Is(err, jsontext.ErrDuplicateName):
		return nil, errors.New("a name stands twice")
	case err != nil:
		return nil, errors.New("it is no valid JSON")
	case d.StackDepth() > maxDepth:
		return nil, fmt.Errorf("it nests deeper than %d levels", maxDepth)
	}
	switch token.Kind() {
	case '"':
		return token.String(), nil
	case '0':
		return json.Number(token.String()), nil
	case 't', 'f':
		return token.Bool(), nil
	case '[':
		return strictArray(d)
	case '{':
		return strictObject(d)
	}
	return nil, nil
}

func strictArray(d *jsontext.Decoder) ([]any, error) {
	list := []any{}
	for d.PeekKind() != ']' {
		value, err := strictValue(d)
		if err != nil {
			return nil, err
		}
		list = append(list, value)
	}
	_, err := d.ReadToken()
	return list, err
}

func strictObject(d *jsontext.Decoder) (map[string]any, error) {
	object := make(map[string]any, 32)
	for d.PeekKind() != '}' {
		name, err := strictValue(d)
		if err != nil {
			return nil, err
		}
		value, err := strictValue(d)
		if err != nil {
			return nil, err
		}
		key, _ := name.(string) // the decoder lets nothing else be a name
		object[key] = value
	}
	_, err := d.ReadToken()
	return object, err
}

func invalid(format string, args ...any) *gatekeeper.Error {
	return gatekeeper.Errorf(gatekeeper.CodeInvalidToken, format, args...)
}
