package conf

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

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
	if v.rec != nil {
		v.rec.shape.object.add(v.rec.session.number)
		return o
	}
	if v.Present() && !v.IsMap() {
		v.wrong("%s was found; a map is wanted", kind(v.node))
	}
	found := pairs(v.node)
	o.entries, o.known = make([]entry, 0, len(found)), make([]string, 0, 12) // few maps have more keys
	for _, p := range found {
		key, ok := scalar(p.Key)
		at := p.Key.GetToken().Position
		if !ok {
			v.doc.add(fault{at.Line, at.Column, structural, "a key has to be plain text"})
			continue
		}
		if o.find(key) != nil {
			v.doc.add(fault{at.Line, at.Column, structural, key + " stands twice"})
		}
		o.entries = append(o.entries, entry{key, p.Value, at.Line, at.Column})
	}
	return o
}

func pairs(node ast.Node) []*ast.MappingValueNode {
	switch n := node.(type) {
	case *ast.MappingNode:
		return n.Values
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}
	}
	return nil
}

func (o *Object) find(key string) *entry {
	for i := range o.entries {
		if o.entries[i].key == key {
			return &o.entries[i]
		}
	}
	return nil
}

// Get is the value under a key, and makes the key known.
func (o *Object) Get(key string) Value {
	if o.rec != nil {
		return o.rec.key(o.Value, key)
	}
	o.known = append(o.known, key)
	if e := o.find(key); e != nil {
		return o.doc.value(e.value, key, e.line, e.column)
	}
	return Value{doc: o.doc, name: key, line: o.line, column: o.column}
}

// Choice wants the keys of exactly one of the sets. none says what to write
// where there is none of them, both why there cannot be two.
func (o *Object) Choice(none, both string, sets ...[]string) {
	if o.rec != nil {
		o.rec.shape.choice = sets
		return
	}
	had := ""
	var chosen []string
	for _, set := range sets {
		o.noBlanks(set)
		i := slices.IndexFunc(set, func(key string) bool { return o.Get(key).Present() })
		switch {
		case i < 0:
		case chosen != nil:
			o.Get(set[i]).wrong("stands beside %s; %s", had, both)
		default:
			chosen, had = set, set[i]
		}
	}
	if chosen == nil && o.Present() {
		o.Get(sets[0][0]).wrong("is missing; %s", none)
	}
	for _, key := range chosen {
		if v := o.Get(key); !v.Present() {
			v.wrong("is missing beside %s", had)
		}
	}
}

// noBlanks wants a value behind each key that is there: where one key stands
// for others, a blank one cannot be told from none.
func (o *Object) noBlanks(keys []string) {
	for _, key := range keys {
		if e := o.find(key); e != nil && !o.Get(key).Present() {
			o.Get(key).wrong("has no value; write one, or leave the key out")
		}
	}
}

// Secret reads KEY, or the file that KEY_file names, relative to dir. Its
// value is in no fault.
func (o *Object) Secret(key, dir string) string {
	v, file := o.Get(key), o.Get(key+"_file")
	if o.rec != nil {
		return v.String("") + file.String("")
	}
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
	if o.rec != nil {
		return []string{o.rec.names()}
	}
	keys := make([]string, len(o.entries))
	for i, e := range o.entries {
		keys[i] = e.key
	}
	return keys
}

// KeyMatching wants names of a shape, an anchored expression that editors
// take as well.
func (o *Object) KeyMatching(key string, shape *regexp.Regexp, hint string) {
	if o.rec != nil {
		o.rec.shape.named = shape.String()
		return
	}
	if !shape.MatchString(key) {
		o.atKey(key, structural, hint)
	}
}

// KeyFault records something wrong with a key itself.
func (o *Object) KeyFault(key, format string, args ...any) {
	o.atKey(key, meaning, fmt.Sprintf(format, args...))
}

func (o *Object) atKey(key string, s severity, message string) {
	if e := o.find(key); e != nil {
		o.doc.add(fault{e.line, e.column, s, key + ": " + message})
	}
}

// Close tells the keys that nobody asked for.
func (o *Object) Close() {
	if o.rec != nil {
		o.rec.shape.closed = true
		return
	}
	for _, e := range o.entries {
		if slices.Contains(o.known, e.key) {
			continue
		}
		known := slices.Compact(slices.Clone(o.known))
		hint := "the keys here are " + strings.Join(known, ", ")
		if near := nearest(e.key, known); near != "" {
			hint = "did you mean " + near + "?"
		}
		o.doc.add(fault{e.line, e.column, structural, e.key + " is no key here; " + hint})
	}
}
