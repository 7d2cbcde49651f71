package api

import (
	"errors"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// unmarshal reads one JSON object: its known fields by their exact names, once
// each, in valid UTF-8, and nothing behind it. encoding/json would take NAME
// for name and the last of two, where whoever stands before us may take the
// first (threats row 18).
func unmarshal(body []byte, into any) error {
	err := json.Unmarshal(body, into, json.RejectUnknownMembers(true))
	if err == nil {
		return nil
	}
	return gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, "the body is not as /openapi.yaml says: %s", fault(err))
}

// fault says what is wrong and where, in the words of JSON, not of Go.
func fault(err error) string {
	var text *jsontext.SyntacticError
	var meaning *json.SemanticError
	switch {
	case errors.Is(err, jsontext.ErrDuplicateName) && errors.As(err, &text):
		return "it names " + string(text.JSONPointer) + " twice"
	case errors.As(err, &text):
		return "it is not one JSON object (" + text.Err.Error() + ")"
	case errors.Is(err, json.ErrUnknownName) && errors.As(err, &meaning):
		return "it has an unknown field " + string(meaning.JSONPointer) + "; names are matched exactly"
	case errors.As(err, &meaning) && meaning.JSONPointer != "":
		return string(meaning.JSONPointer) + " has the wrong type, " + kind(meaning.JSONKind)
	}
	return "it has to be one JSON object"
}

func kind(k jsontext.Kind) string {
	switch k {
	case '{':
		return "object"
	case '[':
		return "array"
	}
	return k.String()
}
