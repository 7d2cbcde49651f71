package conf

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
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
	if len(body) > maxBytes {
		d.add(1, 1, false, "the file has %d bytes; at most %d are taken", len(body), maxBytes)
		return Value{doc: d}, d
	}
	if line := tooDeep(body); line > 0 {
		d.add(line, 1, false, "this nests deeper than %d levels", maxDepth)
		return Value{doc: d}, d
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
			at := doc.Body.GetToken().Position
			d.add(at.Line, at.Column, false, "a second document begins here; a file holds one")
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
	d.add(line, column, false, "%s", message)
}

// Faults are those found so far, by place.
func (d *Doc) Faults() Faults { return d.faults.sorted() }

func (d *Doc) add(line, column int, warning bool, format string, args ...any) {
	d.faults = append(d.faults, Fault{File: d.file, Line: line, Column: column, Warning: warning, Message: fmt.Sprintf(format, args...)})
}

// Value is a place in a file: a scalar, a list, a map, or nothing at all. Its
// readers tell what is wrong to the Doc and give the zero value then.
type Value struct {
	doc          *Doc
	node         ast.Node
	name         string // the key it stands under
	line, column int
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
func (v Value) Present() bool { return v.node != nil }

// Line and Column are the place, counted from 1.
func (v Value) Line() int { return v.line }

// Column is the place in the line, counted from 1.
func (v Value) Column() int { return v.column }

// File is the file's name.
func (v Value) File() string { return v.doc.file }

// Fault records something wrong at the value.
func (v Value) Fault(format string, args ...any) {
	v.doc.add(v.line, v.column, false, "%s", v.says(format, args...))
}

// Warn records something doubtful at the value.
func (v Value) Warn(format string, args ...any) {
	v.doc.add(v.line, v.column, true, "%s", v.says(format, args...))
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
		v.Fault("%s was found; a single value is wanted", kind(v.node))
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

// String reads text; absent gives def. Whole numbers count as their digits.
func (v Value) String(def string) string {
	if !v.Present() {
		return def
	}
	switch v.node.(type) {
	case *ast.BoolNode, *ast.FloatNode:
		v.Fault("%s is no text; put it in quotes if it is meant as text", v.node.GetToken().Value)
		return def
	}
	s, ok := v.text()
	if !ok {
		return def
	}
	return s
}

// Required reads text that has to be there.
func (v Value) Required() string {
	if s := v.String(""); s != "" {
		return s
	}
	if !v.Present() {
		v.Fault("is missing")
	} else if raw, ok := scalar(v.node); ok && raw == "" {
		v.Fault("is empty")
	}
	return ""
}

// Bool reads true or false.
func (v Value) Bool(def bool) bool {
	return scan(v, def, "true or false", func(s string) (bool, error) {
		if s != "true" && s != "false" {
			return false, errors.New("neither")
		}
		return s == "true", nil
	})
}

// Int reads a whole number of at least least.
func (v Value) Int(def, least int) int {
	return scan(v, def, fmt.Sprintf("a whole number of at least %d", least), func(s string) (int, error) {
		n, err := strconv.Atoi(s)
		if err == nil && n < least {
			err = errors.New("too small")
		}
		return n, err
	})
}

// Duration reads 90s, 15m, 1h30m or 2d; zero and less are faults.
func (v Value) Duration(def time.Duration) time.Duration {
	return scan(v, def, "a duration such as 90s, 15m, 1h or 2d", func(s string) (time.Duration, error) {
		var d time.Duration
		var err error
		if days, ok := strings.CutSuffix(s, "d"); ok {
			var n int
			n, err = strconv.Atoi(days)
			d = time.Duration(n) * 24 * time.Hour
		} else {
			d, err = time.ParseDuration(s)
		}
		if err == nil && d <= 0 {
			err = errors.New("not positive")
		}
		return d, err
	})
}

// Time reads an RFC 3339 time.
func (v Value) Time() time.Time {
	return scan(v, time.Time{}, "a time such as 2026-12-18T00:00:00Z", func(s string) (time.Time, error) { return time.Parse(time.RFC3339, s) })
}

// Enum reads one of some words.
func (v Value) Enum(def string, words ...string) string {
	return scan(v, def, "one of "+strings.Join(words, ", "), func(s string) (string, error) {
		if !slices.Contains(words, s) {
			return "", errors.New("none of them")
		}
		return s, nil
	})
}

func scan[T any](v Value, def T, wanted string, parse func(string) (T, error)) T {
	if !v.Present() {
		return def
	}
	s, ok := v.text()
	if !ok {
		return def
	}
	got, err := parse(s)
	if err != nil {
		v.Fault("%q was found; %s is wanted", s, wanted)
		return def
	}
	return got
}

// Strings reads a list of texts, or one text as a list of one.
func (v Value) Strings() []string {
	var all []string
	for _, item := range v.Items() {
		if s := item.Required(); s != "" {
			all = append(all, s)
		}
	}
	return all
}

// Items are a list's values, or the value itself as the only one.
func (v Value) Items() []Value {
	if !v.Present() {
		return nil
	}
	list, ok := v.node.(*ast.SequenceNode)
	if !ok {
		return []Value{v}
	}
	items := make([]Value, len(list.Values))
	for i, node := range list.Values {
		items[i] = v.doc.value(node, v.name, v.line, v.column)
	}
	return items
}

// List wants a list.
func (v Value) List() []Value {
	if _, ok := v.node.(*ast.SequenceNode); v.Present() && !ok {
		v.Fault("%s was found; a list is wanted", kind(v.node))
		return nil
	}
	return v.Items()
}

// IsMap says whether a map stands there.
func (v Value) IsMap() bool {
	switch v.node.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return true
	}
	return false
}

// Word is the scalar if it is one, "" otherwise; it tells no fault.
func (v Value) Word() string {
	s, _ := scalar(v.node)
	return s
}

// Object is a map being read. Close tells its unknown keys.
type Object struct {
	Value
	entries []entry
	known   []string
}

type entry struct {
	key          string
	value        ast.Node
	line, column int
}

// Object wants a map; absent gives an empty one.
func (v Value) Object() *Object {
	o := &Object{Value: v}
	var pairs []*ast.MappingValueNode
	switch n := v.node.(type) {
	case *ast.MappingNode:
		pairs = n.Values
	case *ast.MappingValueNode:
		pairs = []*ast.MappingValueNode{n}
	case nil:
	default:
		v.Fault("%s was found; a map is wanted", kind(v.node))
	}
	for _, p := range pairs {
		key, ok := scalar(p.Key)
		at := p.Key.GetToken().Position
		if !ok {
			v.doc.add(at.Line, at.Column, false, "a key has to be plain text")
			continue
		}
		if slices.ContainsFunc(o.entries, func(e entry) bool { return e.key == key }) {
			v.doc.add(at.Line, at.Column, false, "%s stands twice", key)
		}
		o.entries = append(o.entries, entry{key, p.Value, at.Line, at.Column})
	}
	return o
}

// Get is the value under a key, and makes the key known.
func (o *Object) Get(key string) Value {
	o.known = append(o.known, key)
	for _, e := range o.entries {
		if e.key == key {
			return o.doc.value(e.value, key, e.line, e.column)
		}
	}
	return Value{doc: o.doc, name: key, line: o.line, column: o.column}
}

// Secret reads KEY, or the file that KEY_file names, relative to dir. Its
// value is in no fault.
func (o *Object) Secret(key, dir string) string {
	v, file := o.Get(key), o.Get(key+"_file")
	switch {
	case v.Present() && file.Present():
		file.Fault("%s is given as well; one of the two is enough", key)
	case file.Present():
		path := file.Required()
		if !filepath.IsAbs(path) {
			path = filepath.Join(dir, path)
		}
		body, err := os.ReadFile(path)
		if err != nil {
			file.Fault("%s cannot be read; it has to hold the secret", path)
		}
		return strings.TrimRight(string(body), "\r\n")
	}
	return v.String("")
}

// Keys are the map's keys in the file's order, for maps whose keys are names.
func (o *Object) Keys() []string {
	keys := make([]string, len(o.entries))
	for i, e := range o.entries {
		keys[i] = e.key
	}
	return keys
}

// KeyFault records something wrong with a key itself.
func (o *Object) KeyFault(key, format string, args ...any) {
	for _, e := range o.entries {
		if e.key == key {
			o.doc.add(e.line, e.column, false, "%s: %s", key, fmt.Sprintf(format, args...))
		}
	}
}

// Close tells the keys that nobody asked for.
func (o *Object) Close() {
	for _, e := range o.entries {
		if slices.Contains(o.known, e.key) {
			continue
		}
		hint := "the keys here are " + strings.Join(o.known, ", ")
		if near := nearest(e.key, o.known); near != "" {
			hint = "did you mean " + near + "?"
		}
		o.doc.add(e.line, e.column, false, "%s is no key here; %s", e.key, hint)
	}
}

// Any is the value as plain data (string, int, bool, float64, list, map), for
// what is passed on as it is.
func (v Value) Any() any {
	if !v.Present() {
		return nil
	}
	var out any
	if err := yaml.NodeToValue(v.node, &out); err != nil {
		v.Fault("cannot be read: %v", err)
	}
	return out
}
