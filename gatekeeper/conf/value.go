package conf

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// Value is a place in a file: a scalar, a list, a map, or nothing at all. Its
// readers tell what is wrong to the Doc and give the zero value then.
type Value struct {
	doc          *Doc
	node         ast.Node
	name         string // the key it stands under
	line, column int
	rec          *recorder // set while a schema is being recorded
}

func (d *Doc) value(node ast.Node, name string, line, column int) Value {
	v := Value{doc: d, name: name, line: line, column: column}
	node = unglued(node)
	if node == nil || node.Type() == ast.NullType {
		return v
	}
	v.node = node
	if tk := start(node); tk != nil && tk.Position != nil {
		v.line, v.column = tk.Position.Line, tk.Position.Column
	}
	switch node.Type() {
	case ast.AnchorType, ast.AliasType, ast.TagType, ast.MergeKeyType:
		v.Fault("anchors, aliases and tags are not taken; write the value out")
		v.node = nil
	}
	return v
}

// start is the first token of a node: a map's own token is its colon.
func start(node ast.Node) *token.Token {
	switch n := node.(type) {
	case *ast.MappingNode:
		if len(n.Values) > 0 && !n.IsFlowStyle {
			return n.Values[0].Key.GetToken()
		}
	case *ast.MappingValueNode:
		return n.Key.GetToken()
	case *ast.SequenceNode:
		return n.Start
	}
	return node.GetToken()
}

// Present says whether anything stands there; null counts as nothing.
func (v Value) Present() bool {
	if v.rec != nil {
		return v.rec.ask("present")
	}
	return v.node != nil
}

// Line and Column are the place, counted from 1.
func (v Value) Line() int { return v.line }

// Column is the place in the line, counted from 1.
func (v Value) Column() int { return v.column }

// File is the file's name.
func (v Value) File() string { return v.doc.file }

// Fault records something wrong at the value.
func (v Value) Fault(format string, args ...any) {
	v.doc.add(fault{v.line, v.column, meaning, v.says(format, args...)})
}

// wrong records that the value is not of the shape that a schema can tell.
func (v Value) wrong(format string, args ...any) {
	v.doc.add(fault{v.line, v.column, structural, v.says(format, args...)})
}

// Warn records something doubtful at the value.
func (v Value) Warn(format string, args ...any) {
	v.doc.add(fault{v.line, v.column, doubtful, v.says(format, args...)})
}

func (v Value) says(format string, args ...any) string {
	text := fmt.Sprintf(format, args...)
	if v.name == "" {
		return text
	}
	return v.name + ": " + text
}

var reference = regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*)\}`)

// text is a scalar as it was written, with ${NAME} filled in.
func (v Value) text() (string, bool) {
	raw, ok := scalar(v.node)
	if !ok {
		v.wrong("%s was found; a single value is wanted", kind(v.node))
		return "", false
	}
	if v.doc.env == nil {
		return raw, true
	}
	whole := true
	filled := reference.ReplaceAllStringFunc(raw, func(ref string) string {
		name := ref[2 : len(ref)-1]
		value, ok := v.doc.env(name)
		if !ok {
			v.Fault("the environment has no %s; set it, or write the value", name)
			whole = false
		}
		return value
	})
	return filled, whole
}

func scalar(node ast.Node) (string, bool) {
	switch n := node.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return strings.TrimSpace(n.GetToken().Value), true
	}
	return "", false
}

func kind(node ast.Node) string {
	switch node.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return "a map"
	case *ast.SequenceNode:
		return "a list"
	case nil:
		return "nothing"
	}
	return "a " + strings.ToLower(node.Type().String())
}

// IsMap says whether a map stands there.
func (v Value) IsMap() bool {
	if v.rec != nil {
		return v.rec.ask("map")
	}
	switch v.node.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return true
	}
	return false
}

// Inside is the place of a character of a text, its line counted from 1 and
// its column from 0; it is the text's own place where the file spells the text
// otherwise than it reads: folded, or with escapes.
func (v Value) Inside(line, column int) Value {
	switch n := v.node.(type) {
	case *ast.StringNode:
		if strings.ContainsRune(n.Value, '\n') || !strings.Contains(n.Token.Origin, n.Value) {
			return v
		}
		v.column += column
		if n.Token.Type == token.SingleQuoteType || n.Token.Type == token.DoubleQuoteType {
			v.column++
		}
	case *ast.LiteralNode:
		origin := n.Value.Token.Origin
		if n.Start.Type != token.LiteralType {
			return v
		}
		v.line += line
		v.column = len(origin) - len(strings.TrimLeft(origin, " ")) + column + 1
	}
	return v
}

// IsScalar says whether a single value stands there.
func (v Value) IsScalar() bool {
	_, ok := scalar(v.node)
	return ok
}

// Word is the scalar if it is one, "" otherwise; it tells no fault.
func (v Value) Word() string {
	s, _ := scalar(v.node)
	return s
}

// Map is a map as plain data, see Any.
func (v Value) Map() map[string]any {
	if v.rec != nil {
		v.rec.shape.object.add(v.rec.session.number)
		return nil
	}
	if v.Present() && !v.IsMap() {
		v.wrong("%s was found; a map is wanted", kind(v.node))
		return nil
	}
	m, _ := v.Any().(map[string]any)
	return m
}

// Any is the value as plain data (string, int, bool, float64, list, map), for
// what is passed on as it is.
func (v Value) Any() any {
	if v.rec != nil {
		v.rec.shape.anything = true
		return nil
	}
	if !v.Present() {
		return nil
	}
	var out any
	if err := yaml.NodeToValue(v.node, &out); err != nil {
		v.Fault("cannot be read: %v", err)
	}
	return out
}
