package slackbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
)

// args are a call's arguments: strings from a form or the query, anything
// from JSON.
type args map[string]any

// reply is what a method answers beside "ok".
type reply map[string]any

// failure is an answer with "ok": false.
type failure struct {
	code     string
	messages []string // response_metadata.messages
	more     reply
	status   int    // HTTP; 0: 200
	retry    string // Retry-After
}

func fails(code string, messages ...string) *failure { return &failure{code: code, messages: messages} }

// Slack takes about 1 MB; more is an attack on the stand-in's memory.
const maxBody = 1 << 20

// readArgs takes a body as Slack does: a form, JSON, or nothing but a query.
func readArgs(r *http.Request) (args, *failure) {
	a := args{}
	for k, v := range r.URL.Query() {
		a[k] = v[0]
	}
	// Tokens in a query end up in logs: Slack no longer takes them.
	delete(a, "token")
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil || len(body) > maxBody {
		return nil, &failure{code: "request_too_large", status: http.StatusRequestEntityTooLarge}
	}
	if len(body) == 0 {
		return a, nil
	}
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return nil, fails("missing_post_type")
	}
	switch kind {
	case "application/json":
		return readJSON(a, body)
	case "application/x-www-form-urlencoded", "multipart/form-data":
		return readForm(a, r, body)
	}
	return nil, fails("invalid_post_type")
}

func readJSON(a args, body []byte) (args, *failure) {
	if trimmed := bytes.TrimSpace(body); len(trimmed) == 0 || trimmed[0] != '{' {
		return nil, fails("json_not_object")
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	if err := decoder.Decode(&a); err != nil {
		return nil, fails("invalid_json")
	}
	delete(a, "token") // only the header counts beside JSON
	return a, nil
}

func readForm(a args, r *http.Request, body []byte) (args, *failure) {
	r.Body = io.NopCloser(bytes.NewReader(body))
	if err := r.ParseMultipartForm(maxBody); err != nil && !errors.Is(err, http.ErrNotMultipart) {
		return nil, fails("invalid_form_data")
	}
	for k, v := range r.PostForm {
		a[k] = v[0]
	}
	return a, nil
}

func (a args) str(key string) string {
	switch v := a[key].(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	case bool:
		return strconv.FormatBool(v)
	}
	return ""
}

func (a args) has(key string) bool {
	v, ok := a[key]
	return ok && v != nil && v != ""
}

func (a args) yes(key string) bool { return a.str(key) == "true" || a.str(key) == "1" }

// limit is a page's size within 1 and most.
func (a args) limit(fallback, most int) int {
	n, err := strconv.Atoi(a.str("limit"))
	if err != nil || n <= 0 {
		return fallback
	}
	return min(n, most)
}

// structured is an argument that is JSON itself: written out in forms, and
// either way within JSON. ok is false where it is none.
func (a args) structured(key string) (value any, ok bool) {
	text, isText := a[key].(string)
	if !isText {
		return a[key], a[key] != nil
	}
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&value); err != nil || decoder.More() {
		return nil, false
	}
	return value, true
}

// list is an argument of comma-separated names.
func (a args) list(key string) []string {
	return strings.FieldsFunc(a.str(key), func(r rune) bool { return r == ',' || r == ' ' })
}
