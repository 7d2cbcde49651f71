package conf

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// A file that is read in pieces is the same file, at the same places, or is
// read whole.
func TestChunks(t *testing.T) {
	files, err := filepath.Glob("../../testdata/rules/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	cut := 0
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		_, rules, _ := strings.Cut(string(body), "-- rules.yaml --\n")
		rules, _, _ = strings.Cut(rules, "\n-- ")
		cut += sameInChunks(t, rules+"\n")
	}
	if cut < 50 {
		t.Errorf("only %d files were cut", cut)
	}
}

func sameInChunks(t *testing.T, body string) (cut int) {
	t.Helper()
	root := inChunks([]byte(body), 1)
	if root == nil {
		return 0
	}
	parsed, err := parser.ParseBytes([]byte(body), 0)
	if err != nil {
		t.Fatalf("it has a fault, and is read in pieces all the same: %v\n%s", err, body)
	}
	whole, wrong := dump(parsed.Docs[0].Body)
	pieces, wrongInPieces := dump(root)
	if wrong && wrongInPieces {
		return 1 // behind a tag the YAML reader loses its way, and tags are errors
	}
	if whole != pieces {
		t.Errorf("%s\nwhole:\n%s\nin pieces:\n%s", body, whole, pieces)
	}
	return 1
}

// dump tells every value with its place.
func dump(n ast.Node) (text string, wrong bool) {
	var b strings.Builder
	d := &Doc{file: "f"}
	dumpValue(&b, d.value(n, "", 1, 1), 0)
	return b.String() + d.faults.Error(), len(d.faults) > 0
}

func dumpValue(b *strings.Builder, v Value, depth int) {
	fmt.Fprintf(b, "%s%s %d:%d %q\n", strings.Repeat(" ", depth), v.name, v.line, v.column, v.Word())
	if v.IsMap() {
		o := v.Object()
		for _, key := range o.Keys() {
			dumpValue(b, o.Get(key), depth+1)
		}
		return
	}
	if _, ok := v.node.(*ast.SequenceNode); ok {
		for _, item := range v.Items() {
			dumpValue(b, item, depth+1)
		}
	}
}

func FuzzChunks(f *testing.F) {
	for _, seed := range []string{"a:\n  - b: x\n  - c: y\n    d: [z,\n   e]\n", "a:\n- b: |\n   - c\n- d\n", "a:\n  - \"x\n  - y\"\n  - z\n", "a:\n  - b\n#c\n\n  - d\nb:\n - [x,\n - y]\n", "a:\n  - b\n---\na:\n  - c\n", "a: # x\n  - {b: c,\n  d: e}\n  - f\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		if tooDeep([]byte(body)) == 0 {
			sameInChunks(t, body)
		}
	})
}
