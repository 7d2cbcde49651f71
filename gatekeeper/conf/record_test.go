package conf_test

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"testing"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/conf"
	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// recipe is a reader that uses everything a reader can.
func recipe(v conf.Value) {
	o := v.Object()
	o.Get("name").Need("name it")
	o.Get("name").Matching(regexp.MustCompile(`^[a-z]+$`), "small letters")
	o.Get("id").String("")
	o.Get("count").Int(1, 1)
	o.Get("on").Bool(false)
	o.Get("after").Duration(1)
	o.Get("at").Time()
	o.Get("list").Strings()
	o.Get("free").Map()
	if who := o.Get("who"); who.IsMap() {
		inner := who.Object()
		inner.Get("people").Need("name people")
		inner.Get("people").Strings()
		inner.Close()
	} else {
		who.Enum("", "nobody", "all")
	}
	o.Choice("say when", "one is enough", []string{"from", "to"}, []string{"weekly"})
	for _, key := range []string{"from", "to", "weekly"} {
		o.Get(key).Time()
	}
	named := o.Get("named").Object()
	for _, key := range named.Keys() {
		named.KeyMatching(key, regexp.MustCompile(`^[a-z]$`), "is no letter")
		named.Get(key).Enum("", "x", "y")
	}
	o.Close()
}

// The schema takes what the reader takes, and nothing else.
func TestSchemaIsTheReader(t *testing.T) {
	body, err := conf.Record(recipe).Schema(conf.SchemaOptions{Title: "recipes", Meanings: map[string]string{"who.people": "who they are"}})
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(body, []byte(`"description": "who they are"`)) {
		t.Errorf("no meaning in\n%s", body)
	}
	schema := compiled(t, body)
	for _, c := range []string{
		"name: a\nweekly: 2026-01-01T00:00:00Z\n", "name: a\nfrom: 2026-01-01T00:00:00Z\nto: 2026-01-01T00:00:00Z\n",
		"weekly: 2026-01-01T00:00:00Z\n", "name: a\n", "name: a\nfrom: 2026-01-01T00:00:00Z\n", "name: A\nweekly: 2026-01-01T00:00:00Z\n",
		"name: ''\nweekly: 2026-01-01T00:00:00Z\n", "name: a\nweekly: 2026-01-01T00:00:00Z\nfrom: 2026-01-01T00:00:00Z\n",
	} {
		agree(t, schema, c)
	}
	const least = "name: a\nweekly: 2026-01-01T00:00:00Z\n"
	for _, more := range []string{
		"id: 7", "id: x", "id: true", "id: 1.5", "id: [x]", "id:", "count: 2", "count: 0", "count: many", "count: '3'", "on: true", "on: yes", "on: 'false'",
		"after: 15m", "after: 15", "after: 1h30m", "after: 2d", "after: -5m", "at: tomorrow", "list: x", "list: [x, y]", "list: []", "list: [[x]]", "list: ['']", "list: {a: b}",
		"free: {a: [1, {b: 2}]}", "free: x", "who: nobody", "who: somebody", "who: {people: x}", "who: {people: []}", "who: {}", "who: {person: x}", "who: [x]",
		"named: {a: x}", "named: {a: z}", "named: {aa: x}", "named: {a: [x]}", "unknown: 1",
	} {
		agree(t, schema, least+more+"\n")
	}
}

func compiled(t *testing.T, body []byte) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("schema.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("schema.json")
	if err != nil {
		t.Fatalf("%v in\n%s", err, body)
	}
	return schema
}

func agree(t *testing.T, schema *jsonschema.Schema, body string) {
	t.Helper()
	root, doc := conf.Parse("f.yaml", []byte(body), conf.Options{})
	recipe(root)
	reader := slices.ContainsFunc(doc.Faults(), func(f conf.Fault) bool { return f.Structural })
	if err := schema.Validate(plain(t, body)); (err != nil) != reader {
		t.Errorf("%s\nthe reader says: %v\nthe schema says: %v", body, doc.Faults(), err)
	}
}

// plain is YAML as a validator of JSON sees it.
func plain(t *testing.T, body string) any {
	t.Helper()
	var v any
	if err := yaml.Unmarshal([]byte(body), &v); err != nil {
		t.Fatal(err)
	}
	asJSON, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	out, err := jsonschema.UnmarshalJSON(bytes.NewReader(asJSON))
	if err != nil {
		t.Fatal(err)
	}
	return out
}
