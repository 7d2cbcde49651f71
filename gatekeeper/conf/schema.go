package conf

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
)

// SchemaOptions name a schema and say what its keys mean.
type SchemaOptions struct {
	ID, Title string
	// Meanings are sentences for editors to show, by path, such as
	// rules[].approval.quorum.
	Meanings map[string]string
}

// Schema is the shape as JSON Schema. It is of draft 7, which every editor's
// YAML support reads.
func (s *Shape) Schema(o SchemaOptions) ([]byte, error) {
	root := fields{{"$schema", "http://json-schema.org/draft-07/schema#"}}
	if o.ID != "" {
		root = append(root, field{"$id", o.ID})
	}
	root = append(root, field{"title", o.Title})
	w := schemaWriter{o.Meanings}
	body, err := json.Marshal(append(root, w.shape(s, "", true)...))
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = json.Indent(&out, body, "", "  ")
	out.WriteByte('\n')
	return out.Bytes(), err
}

// Paths are all places of the shape, such as rules[].approval.quorum; names
// that the file chooses stand as NAME.
func (s *Shape) Paths() []string {
	var all []string
	s.walk("", func(path string) { all = append(all, path) })
	return all
}

func (s *Shape) walk(path string, visit func(string)) {
	if s.items != nil {
		s.items.walk(path+"[]", visit)
	}
	for _, m := range append(slices.Clone(s.keys), s.other()...) {
		at := join(path, m.name)
		visit(at)
		m.shape.walk(at, visit)
	}
}

func (s *Shape) other() []member {
	if s.others == nil {
		return nil
	}
	return []member{{anyName, s.others}}
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// fields are an object's members in order.
type fields []field

type field struct {
	name  string
	value any
}

// MarshalJSON keeps the order: editors offer keys as the schema lists them.
func (fs fields) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, f := range fs {
		if i > 0 {
			b.WriteByte(',')
		}
		name, err := json.Marshal(f.name)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(f.value)
		if err != nil {
			return nil, err
		}
		b.Write(name)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

type schemaWriter struct{ meanings map[string]string }

// shape writes every way in which a value may stand at a path.
func (w schemaWriter) shape(s *Shape, path string, required bool) fields {
	var out fields
	if meaning := w.meanings[path]; meaning != "" {
		out = append(out, field{"description", meaning})
	}
	ways := w.ways(s, path)
	if !required && !s.anything {
		ways = append(ways, fields{{"type", "null"}}) // a key without a value counts as absent
	}
	if s.anything || len(ways) == 0 {
		return out
	}
	if len(ways) == 1 {
		return append(out, ways[0]...)
	}
	return append(out, field{"anyOf", ways})
}

func (w schemaWriter) ways(s *Shape, path string) []fields {
	var ways []fields
	add := func(f fields) { ways = append(ways, f) }
	if s.text != nil {
		add(s.text.schema())
	}
	if s.number {
		add(fields{{"type", []string{"integer", "string"}}, {"minimum", s.least}, {"pattern", "^[0-9]+$"}})
	}
	if s.truth {
		add(fields{{"type", []string{"boolean", "string"}}, {"pattern", "^(true|false)$"}})
	}
	if s.items != nil {
		items := w.shape(s.items, path+"[]", true)
		if s.alone {
			ways = append(ways, w.ways(s.items, path+"[]")...)
		}
		list := fields{{"type", "array"}, {"items", items}}
		if s.filled {
			list = append(list, field{"minItems", 1})
		}
		add(list)
	}
	if s.object != nil {
		add(w.object(s, path))
	}
	return ways
}

func (w schemaWriter) object(s *Shape, path string) fields {
	out := fields{{"type", "object"}}
	var properties fields
	var needed []string
	for _, m := range s.keys {
		required := s.requires(m.shape)
		chosen := slices.Contains(slices.Concat(s.choice...), m.name)
		properties = append(properties, field{m.name, w.shape(m.shape, join(path, m.name), required || chosen)})
		if required {
			needed = append(needed, m.name)
		}
	}
	if properties != nil {
		out = append(out, field{"properties", properties})
	}
	if needed != nil {
		out = append(out, field{"required", needed})
	}
	switch {
	case s.others != nil:
		out = append(out, field{"additionalProperties", w.shape(s.others, join(path, anyName), s.requires(s.others))})
	case s.closed:
		out = append(out, field{"additionalProperties", false})
	}
	if s.named != "" {
		out = append(out, field{"propertyNames", fields{{"pattern", s.named}}})
	}
	if s.filled {
		out = append(out, field{"minProperties", 1})
	}
	if s.choice != nil {
		out = append(out, field{"oneOf", choices(s.choice)})
	}
	return out
}

// choices wants the keys of one set and none of the others'.
func choices(sets [][]string) []fields {
	var all []fields
	for i, set := range sets {
		var without fields
		for j, other := range sets {
			for _, key := range other {
				if j != i {
					without = append(without, field{key, false})
				}
			}
		}
		all = append(all, fields{{"required", set}, {"properties", without}})
	}
	return all
}

// schema takes whole numbers where their digits would do: YAML reads an id
// without quotes as a number.
func (t *text) schema() fields {
	if t.words != nil {
		return fields{{"enum", t.words}}
	}
	out := fields{{"type", "string"}}
	if t.pattern == "" || takesDigits(t.pattern) {
		out = fields{{"type", []string{"string", "integer"}}}
	}
	if t.pattern != "" {
		out = append(out, field{"pattern", t.pattern})
	}
	if t.least > 0 {
		out = append(out, field{"minLength", t.least})
	}
	return out
}

func takesDigits(pattern string) bool {
	re := regexp.MustCompile(pattern) // it compiled before
	return slices.ContainsFunc([]string{"1", "12", "12345678"}, re.MatchString)
}

// Meanings reads lines of path, colon and sentence. Lines that begin with #
// are comments.
func Meanings(lines string) map[string]string {
	all := map[string]string{}
	for line := range strings.Lines(lines) {
		path, sentence, ok := strings.Cut(strings.TrimSpace(line), ": ")
		if ok && !strings.HasPrefix(path, "#") {
			all[path] = sentence
		}
	}
	return all
}
