package conf

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// maxBytes bounds a file: rules for thousands of repositories fit well.
const maxBytes = 16 << 20

// maxDepth bounds nesting; the deepest file of ours has eight levels.
const maxDepth = 64

// Doc is a file being read; it collects the faults.
type Doc struct {
	file   string
	env    func(string) (string, bool)
	faults Faults
	errors int

	recording bool // a schema: nothing is at fault
}

// Options say how scalars are read.
type Options struct {
	// Env looks up ${NAME} in scalars; nil leaves them as they are.
	Env func(name string) (value string, ok bool)
}

// Parse reads a file's body. The Value is absent when the file is empty or no
// YAML; the faults say why.
func Parse(file string, body []byte, o Options) (Value, *Doc) {
	d := &Doc{file: file, env: o.Env}
	body = bytes.TrimPrefix(body, []byte("\uFEFF")) // some editors begin files with it
	if len(body) > maxBytes {
		d.add(fault{1, 1, structural, fmt.Sprintf("the file has %d bytes; at most %d are taken", len(body), maxBytes)})
		return Value{doc: d}, d
	}
	if line := tooDeep(body); line > 0 {
		d.add(fault{line, 1, structural, fmt.Sprintf("this nests deeper than %d levels", maxDepth)})
		return Value{doc: d}, d
	}
	if root := inChunks(body, chunkBytes); root != nil {
		return d.value(root, "", 1, 1), d
	}
	parsed, err := parser.ParseBytes(body, 0)
	if err != nil {
		d.syntax(err)
		return Value{doc: d}, d
	}
	var root ast.Node
	for _, doc := range parsed.Docs {
		if doc.Body == nil {
			continue
		}
		if root != nil {
			at := start(doc.Body).Position
			d.add(fault{at.Line, at.Column, meaning, "a second document begins here; a file holds one"})
			break
		}
		root = doc.Body
	}
	return d.value(root, "", 1, 1), d
}

// tooDeep guards the parser, which recurses: flow brackets nest without
// indentation. It gives the line, 0 when all is well.
func tooDeep(body []byte) int {
	depth, line := 0, 1
	for _, c := range body {
		switch c {
		case '[', '{':
			if depth++; depth > maxDepth*4 {
				return line
			}
		case ']', '}':
			depth = max(0, depth-1)
		case '\n':
			line++
		}
	}
	return 0
}

func (d *Doc) syntax(err error) {
	var at yaml.Error
	line, column, message := 1, 1, "this is no YAML: "+strings.SplitN(err.Error(), "\n", 2)[0]
	if errors.As(err, &at) {
		message = at.GetMessage()
		if tk := at.GetToken(); tk != nil && tk.Position != nil {
			line, column = tk.Position.Line, tk.Position.Column
		}
	}
	d.add(fault{line, column, structural, message})
}

// Faults are those found so far, by place.
func (d *Doc) Faults() Faults { return d.faults.Sorted() }

// Errors counts the errors found so far, for readers that want to know
// whether a part of the file is whole.
func (d *Doc) Errors() int { return d.errors }

// severity tells faults apart.
type severity int

const (
	structural severity = iota // of a shape that a schema tells as well
	meaning                    // of the right shape, and still wrong
	doubtful                   // a warning
)

type fault struct {
	line, column int
	severity     severity
	message      string
}

func (d *Doc) add(f fault) {
	if d.recording {
		return
	}
	if f.severity != doubtful {
		d.errors++
	}
	d.faults = append(d.faults, Fault{
		File: d.file, Line: f.line, Column: f.column, Message: f.message,
		Warning: f.severity == doubtful, Structural: f.severity == structural,
	})
}
