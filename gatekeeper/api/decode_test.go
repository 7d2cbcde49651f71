package api

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// Bodies are taken by the exact names of their fields, once each: two readers
// of one body never see two things (threats row 18).
func TestUnmarshal(t *testing.T) {
	for body, says := range map[string]string{
		`{"environment":"production","credentials":["a"],"reason":"x"}`: "",
		`{"environment":"production","credentials":null}`:               "",
		`{"Environment":"production"}`:                                  "unknown field /Environment",
		`{"environment":"production","REASON":"x"}`:                     "unknown field /REASON",
		`{"environment":"production","reaſon":"x"}`:                     "unknown field",
		`{"environment":"a","environment":"b"}`:                         "/environment twice",
		"{\"environment\":\"a\",\"\\u0065nvironment\":\"b\"}":           "/environment twice",
		"{\"environment\":\"a\xff\"}":                                   "invalid UTF-8",
		`{"environment":["a"]}`:                                         "/environment has the wrong type, array",
		`{"credentials":["a",7]}`:                                       "/credentials/1 has the wrong type, number",
		`{"environment":"a"} {}`:                                        "not one JSON object",
		`[]`:                                                            "one JSON object",
		`"x"`:                                                           "one JSON object",
		``:                                                              "one JSON object",
		strings.Repeat(`{"environment":`, 20000):                        "max depth",
	} {
		var got OpenBody
		err := unmarshal([]byte(body), &got)
		if says == "" && (err != nil || got.Environment != "production") {
			t.Errorf("%s: %v", body, err)
		}
		if says != "" && (gatekeeper.CodeOf(err) != gatekeeper.CodeInvalidRequest || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "OpenBody")) {
			t.Errorf("%.60s: got %v, want %q", body, err, says)
		}
	}
}

// What is taken means the same to the most lenient reader.
func FuzzUnmarshal(f *testing.F) {
	f.Add([]byte(`{"environment":"production","credentials":["deploy"],"reason":"x"}`))
	f.Add([]byte(`{"Environment":"a","environment":"b"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		var strict, lenient OpenBody
		if unmarshal(body, &strict) != nil {
			return
		}
		if err := json.Unmarshal(body, &lenient); err != nil || !reflect.DeepEqual(strict, lenient) {
			t.Fatalf("%q: %+v and %+v, %v", body, strict, lenient, err)
		}
	})
}
