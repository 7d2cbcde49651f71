package main

import (
	"encoding/json"
	"maps"
	"path/filepath"
	"slices"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

// The schema is the parser's own shape: whatever is done to any value of
// right rules, both take it or neither does.
func TestSchemaAgreesOnEveryChange(t *testing.T) {
	schema := rulesSchema(t)
	changes := 0
	for _, name := range []string{"approval-terms", "approval-all-of", "approval-notify", "match-claims", "freeze-more-people", "freeze-weekly", "glass-overrides", "tests-pass", "error-credentials-clouds", "warn-around"} {
		archive, err := txtar.ParseFile(filepath.Join(goldens, name+".txtar"))
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(archive.Files, func(f txtar.File) bool { return f.Name == "rules.yaml" })
		doc, ok := asJSON(t, archive.Files[i].Data)
		if !ok {
			t.Fatal(name, "is no YAML")
		}
		changed(doc, func(v any) {
			body, err := json.Marshal(doc) // JSON is YAML
			if err != nil {
				t.Fatal(err)
			}
			changes++
			agree(t, schema, body)
		})
	}
	if changes < 1000 {
		t.Errorf("only %d changes were tried", changes)
	}
}

// instead are what stands in the place of each value in turn.
func instead() []any {
	return []any{nil, "", "zzz", "1", "24:00", json.Number("3"), json.Number("0"), json.Number("1.5"), true, []any{}, []any{"zzz"}, []any{[]any{"x"}}, map[string]any{}, map[string]any{"zzz": "y"}}
}

// changed visits the document once for each value of it put away, replaced,
// or with a key too many.
func changed(v any, visit func(any)) {
	switch v := v.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			old := v[key]
			changed(old, visit)
			delete(v, key)
			visit(v)
			for _, other := range instead() {
				v[key] = other
				visit(v)
			}
			v[key] = old
		}
		v["zzz"] = "y"
		visit(v)
		delete(v, "zzz")
	case []any:
		for i := range v {
			old := v[i]
			changed(old, visit)
			for _, other := range instead() {
				v[i] = other
				visit(v)
			}
			v[i] = old
		}
	}
}
