package conf

import "slices"

// Shape is what a reader takes at one place of a file. Record makes it by
// running the reader itself, so the schema of a file cannot differ from what
// its reader takes.
type Shape struct {
	needed   runs  // the runs in which it had to be there
	filled   bool  // a list or map of it has to hold something
	text     *text // as a single text
	number   bool  // as a whole number of at least least
	least    int
	truth    bool     // as true or false
	anything bool     // as whatever stands there
	items    *Shape   // as a list of these
	alone    bool     // one of the items may stand without the list
	object   runs     // as a map, in these runs
	closed   bool     // of these keys only
	keys     []member // in the order in which they are asked for
	others   *Shape   // the values of a map whose keys are names
	named    string   // what these names look like
	choice   [][]string
}

type text struct {
	words   []string
	pattern string
	least   int // length
}

// runs of the reader, by number.
type runs map[int]bool

func (r *runs) add(n int) {
	if *r == nil {
		*r = runs{}
	}
	(*r)[n] = true
}

// requires says whether a key had to be there whenever the map was read: one
// that only some word of another key wants is not required.
func (s *Shape) requires(key *Shape) bool {
	for n := range s.object {
		if !key.needed[n] {
			return false
		}
	}
	return len(s.object) > 0
}

func (s *Shape) asText() *text {
	if s.text == nil {
		s.text = &text{}
	}
	return s.text
}

type member struct {
	name  string
	shape *Shape
}

// Record runs a reader on a value that notes what is asked of it. Where the
// reader asks whether something is there, is a map, or which of some words, it
// is run again with each other answer, so that all of its ways are noted.
func Record(read func(Value)) *Shape {
	s := &session{}
	root := &Shape{}
	s.run(root, read, "")
	for i := 0; i < len(s.questions); i++ {
		s.run(root, read, s.questions[i])
	}
	return root
}

type session struct {
	questions []string
	negated   string // the one question that is answered with no
	number    int    // of the run
}

func (s *session) run(root *Shape, read func(Value), negated string) {
	s.negated, s.number = negated, s.number+1
	doc := &Doc{file: "schema", recording: true}
	read(Value{doc: doc, line: 1, column: 1, rec: &recorder{s, root, "", doc}})
}

// recorder is one place while it is recorded.
type recorder struct {
	session *session
	shape   *Shape
	path    string
	doc     *Doc
}

func (r *recorder) need() { r.shape.needed.add(r.session.number) }

func (r *recorder) ask(what string) bool {
	question := r.path + " " + what
	if !slices.Contains(r.session.questions, question) {
		r.session.questions = append(r.session.questions, question)
	}
	return question != r.session.negated
}

// word is the answer of an Enum: what a reader does next may hang on it.
func (r *recorder) word(def string, words []string) string {
	for _, w := range words {
		if w != def && !r.ask("other than "+w) {
			return w
		}
	}
	return def
}

func (r *recorder) value(v Value, name, step string, s *Shape) Value {
	return Value{doc: v.doc, name: name, line: 1, column: 1, rec: &recorder{r.session, s, r.path + step, r.doc}}
}

func (r *recorder) item(v Value) Value {
	if r.shape.items == nil {
		r.shape.items = &Shape{}
	}
	return r.value(v, v.name, "[]", r.shape.items)
}

// anyName stands for the names of a map whose keys are names.
const anyName = "NAME"

func (r *recorder) names() string {
	if r.shape.others == nil {
		r.shape.others = &Shape{}
	}
	return anyName
}

func (r *recorder) key(v Value, name string) Value {
	if name == anyName {
		r.names()
		return r.value(v, name, "."+name, r.shape.others)
	}
	i := slices.IndexFunc(r.shape.keys, func(m member) bool { return m.name == name })
	if i < 0 {
		i = len(r.shape.keys)
		r.shape.keys = append(r.shape.keys, member{name, &Shape{}})
	}
	return r.value(v, name, "."+name, r.shape.keys[i].shape)
}
