package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/conf"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/rules"
	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
)

// update writes what the commands print into the goldens: read the diff.
var update = flag.Bool("update", false, "write what the commands print into testdata/rules")

const goldens = "../../testdata/rules"

// Each file of testdata/rules is rules, claims and what the commands say of
// them; see its README.
func TestGoldens(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(goldens, "*.txtar"))
	if err != nil || len(files) < 80 {
		t.Fatalf("%d goldens, %v", len(files), err)
	}
	schema := rulesSchema(t)
	for _, file := range files {
		file, err := filepath.Abs(file)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			g := openGolden(t, file)
			g.says(t, "check", "rules", "check", g.path)
			if g.has("claims.json") {
				g.says(t, "explain", "rules", "explain", "--rules", g.path, "--claims", "claims.json",
					"--environment", g.ask("environment"), "--issuer", g.ask("issuer"), "--at", g.ask("at"))
			}
			if g.tested {
				g.says(t, "test", "rules", "test", "-v", "--cover", g.path)
			}
			g.agrees(t, schema)
			g.close(t)
		})
	}
}

// golden is one file, unpacked into the test's own directory.
type golden struct {
	file    string
	archive *txtar.Archive
	path    string // of its rules
	tested  bool   // its rules have tests
	kept    []txtar.File
}

func openGolden(t *testing.T, file string) *golden {
	t.Helper()
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	g := &golden{file: file, archive: archive, path: "rules.yaml"}
	t.Chdir(t.TempDir())
	for _, f := range archive.Files {
		if slices.Contains([]string{"check", "explain", "test"}, f.Name) {
			continue
		}
		g.kept = append(g.kept, f)
		if dir := filepath.Dir(f.Name); dir != "." {
			g.path = dir
			if err := os.MkdirAll(dir, 0o700); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(f.Name, f.Data, 0o600); err != nil {
			t.Fatal(err)
		}
		g.tested = g.tested || bytes.Contains(f.Data, []byte("\ntests:"))
	}
	return g
}

func (g *golden) section(name string) ([]byte, bool) {
	for _, f := range g.archive.Files {
		if f.Name == name {
			return f.Data, true
		}
	}
	return nil, false
}

func (g *golden) has(name string) bool { _, ok := g.section(name); return ok }

// ask is a line of the golden's question.
func (g *golden) ask(key string) string {
	body, _ := g.section("ask")
	for line := range strings.Lines(string(body)) {
		if value, ok := strings.CutPrefix(line, key+": "); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// says runs a command and holds it to its section, the exit code last.
func (g *golden) says(t *testing.T, section string, args ...string) {
	t.Helper()
	if g.has("gatekeeper.yaml") {
		args = append(args, "--config", "gatekeeper.yaml")
	}
	got := command(t.Context(), nil, args...)
	out := got.stdout
	if section != "check" {
		out += got.stderr
	}
	out += fmt.Sprintf("exit %d\n", got.code)
	g.kept = append(g.kept, txtar.File{Name: section, Data: []byte(out)})
	want, _ := g.section(section)
	if diff := cmp.Diff(string(want), out); diff != "" && !*update {
		t.Errorf("%s says otherwise (-want +got):\n%s", section, diff)
	}
}

func (g *golden) close(t *testing.T) {
	t.Helper()
	if !*update {
		return
	}
	g.archive.Files = g.kept
	if err := os.WriteFile(g.file, txtar.Format(g.archive), 0o600); err != nil {
		t.Fatal(err)
	}
}

// agrees holds the schema to the parser: it takes a file exactly where the
// parser finds nothing structurally wrong.
func (g *golden) agrees(t *testing.T, schema *jsonschema.Schema) {
	t.Helper()
	files, err := rules.Read(g.path)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		agree(t, schema, f.Body)
	}
}

func agree(t *testing.T, schema *jsonschema.Schema, body []byte) {
	t.Helper()
	_, faults := rules.Parse([]rules.File{{Name: "rules.yaml", Body: body}}, rules.Options{})
	structural := slices.ContainsFunc(faults, func(f conf.Fault) bool { return f.Structural })
	doc, ok := asJSON(t, body)
	if !ok {
		return // no YAML: no schema sees it
	}
	if err := schema.Validate(doc); (err != nil) != structural {
		t.Errorf("%s\nthe schema says: %v\nthe parser says:\n%v", body, err, faults)
	}
}

// asJSON reads YAML with another reader than ours, as editors do.
func asJSON(t *testing.T, body []byte) (doc any, ok bool) {
	t.Helper()
	var v any
	if err := yaml.Unmarshal(body, &v); err != nil {
		return nil, false
	}
	if v == nil {
		v = map[string]any{}
	}
	plain, err := json.Marshal(v)
	if err != nil {
		return nil, false // JSON has no word for it
	}
	doc, err = jsonschema.UnmarshalJSON(bytes.NewReader(plain))
	if err != nil {
		t.Fatal(err)
	}
	return doc, true
}

func rulesSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	return schemaOf(t, "rules", "schema")
}

// schemaOf compiles the schema that a command prints.
func schemaOf(t *testing.T, args ...string) *jsonschema.Schema {
	t.Helper()
	got := command(t.Context(), nil, args...)
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(got.stdout))
	if err != nil || got.code != 0 {
		t.Fatal(err, got)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("rules.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("rules.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}
