package oidc

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// maxDepth bounds nesting of claims; documented ones have two levels.
const maxDepth = 8

// How many members a header and a token's claims commonly have, so that the
// maps that hold them need not grow.
const (
	headerSize = 4
	claimsSize = 48
)

// StrictJSON reads one JSON object: UTF-8, names compared as they are, no name
// twice, nothing behind it. encoding/json alone takes "SUB" and a second "sub"
// for "sub" when it fills a struct, and the last of duplicates (row 18).
// Numbers stay as written (json.Number).
func StrictJSON(body []byte) (map[string]any, error) { return strictObject(body, claimsSize) }

func strictObject(body []byte, size int) (map[string]any, error) {
	s := strict{Decoder: jsontext.NewDecoder(bytes.NewBuffer(body), jsontext.AllowDuplicateNames(true)), text: string(body)}
	if s.PeekKind() != '{' {
		return nil, errors.New("it is no JSON object")
	}
	object := make(map[string]any, size)
	if err := s.members(object); err != nil {
		return nil, err
	}
	if _, err := s.ReadToken(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the object")
	}
	return object, nil
}

// strict reads values. Its strings are pieces of one copy of the text: a
// token has some ninety of them, and allocating each took half as long as its
// signature. The decoder refuses invalid UTF-8; members refuses names that
// stand twice, as it fills a map anyway.
type strict struct {
	*jsontext.Decoder
	text string
}

func (s strict) value() (any, error) {
	switch s.PeekKind() {
	case '"':
		return s.string()
	case '[':
		return s.array()
	case '{':
		object := map[string]any{}
		return object, s.members(object)
	}
	token, err := s.ReadToken()
	if err != nil {
		return nil, fault(err)
	}
	switch token.Kind() {
	case '0':
		return json.Number(token.String()), nil
	case 't', 'f':
		return token.Bool(), nil
	}
	return nil, nil
}

// string is the next string or name, unescaped.
func (s strict) string() (string, error) {
	raw, err := s.ReadValue()
	if err != nil {
		return "", fault(err)
	}
	end := int(s.InputOffset())
	if written := s.text[end-len(raw)+1 : end-1]; strings.IndexByte(written, '\\') < 0 {
		return written, nil
	}
	plain, err := jsontext.AppendUnquote(nil, raw)
	return string(plain), err
}

func (s strict) array() ([]any, error) {
	list := []any{}
	if err := s.begin(); err != nil {
		return nil, err
	}
	for s.PeekKind() != ']' {
		value, err := s.value()
		if err != nil {
			return nil, err
		}
		list = append(list, value)
	}
	return list, s.end()
}

func (s strict) members(object map[string]any) error {
	if err := s.begin(); err != nil {
		return err
	}
	for s.PeekKind() != '}' {
		name, err := s.string() // the decoder lets nothing else be a name
		if err != nil {
			return err
		}
		if _, twice := object[name]; twice {
			return errors.New("a name stands twice")
		}
		if object[name], err = s.value(); err != nil {
			return err
		}
	}
	return s.end()
}

func (s strict) begin() error {
	if _, err := s.ReadToken(); err != nil {
		return fault(err)
	}
	if s.StackDepth() > maxDepth {
		return fmt.Errorf("it nests deeper than %d levels", maxDepth)
	}
	return nil
}

func (s strict) end() error {
	_, err := s.ReadToken()
	return fault(err)
}

// fault says what was wrong without the text around it, which is a stranger's.
func fault(err error) error {
	if err == nil {
		return nil
	}
	return errors.New("it is no valid JSON")
}
