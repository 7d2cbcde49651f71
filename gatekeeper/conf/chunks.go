package conf

import (
	"bytes"
	"regexp"
	"runtime"
	"slices"
	"sync"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// chunkBytes is from where on a file is read in pieces at once: 10,000 rules
// are four megabytes, and reading YAML is most of what loading takes.
const chunkBytes = 128 << 10

// chunk is a piece of a file: a top-level key with some items of its list, at
// the lines where they stand in the file.
type chunk struct {
	key  string
	text []byte
}

// inChunks reads a long file's pieces at once. It gives nil where the file
// has not the plain form of top-level lists, or where any piece is at fault:
// then the whole is read, which tells faults as they are.
func inChunks(body []byte, size int) ast.Node {
	if len(body) < 2*size {
		return nil
	}
	chunks := split(body, size)
	roots := make([]ast.Node, len(chunks))
	free := make(chan struct{}, runtime.GOMAXPROCS(0))
	var wg sync.WaitGroup
	for i, c := range chunks {
		free <- struct{}{}
		wg.Go(func() {
			roots[i] = c.read()
			<-free
		})
	}
	wg.Wait()
	return joined(chunks, roots)
}

func (c chunk) read() ast.Node {
	parsed, err := parser.ParseBytes(c.text, 0)
	if err != nil || len(parsed.Docs) != 1 {
		return nil
	}
	return parsed.Docs[0].Body
}

// joined makes one map of the pieces' maps, nil where one is not as expected.
func joined(chunks []chunk, roots []ast.Node) ast.Node {
	var root *ast.MappingNode
	last := ""
	for i, c := range chunks {
		mapping, ok := roots[i].(*ast.MappingNode)
		if !ok || len(mapping.Values) != 1 {
			return nil
		}
		switch {
		case root == nil:
			root = mapping
		case c.key != last:
			root.Values = append(root.Values, mapping.Values...)
		default:
			if !extend(root.Values[len(root.Values)-1], mapping.Values[0]) {
				return nil
			}
		}
		last = c.key
	}
	if root == nil {
		return nil
	}
	return root
}

func extend(to, by *ast.MappingValueNode) bool {
	list, ok := to.Value.(*ast.SequenceNode)
	more, alike := by.Value.(*ast.SequenceNode)
	if ok && alike {
		list.Values = append(list.Values, more.Values...)
		list.Entries = append(list.Entries, more.Entries...)
	}
	return ok && alike
}

var (
	topKey = regexp.MustCompile(`^([a-z_]+):[ \t]*(#.*)?$`)
	item   = regexp.MustCompile(`^( *)- +(\{|[a-z_]+:( |$))`) // of a list of maps
	bare   = regexp.MustCompile(`^ *-[ \t]*(#.*)?$`)          // an item that begins on the next line
	// literal begins a text over several lines: what its lines look like says
	// nothing of the list.
	literal = regexp.MustCompile(`[|>][-+0-9]*[ \t]*(#.*)?$`)
)

// split cuts between items of top-level lists. A line that begins with a
// list's indentation and a dash can be nothing but its next item: what
// belongs to the one before it is indented more (YAML 1.2, section 8.2.1).
func split(body []byte, size int) []chunk {
	s := &splitter{size: size}
	number := 0
	for line := range bytes.Lines(body) {
		number++
		if !s.line(line, number) {
			return nil
		}
	}
	s.cut()
	return s.chunks
}

type splitter struct {
	size   int
	chunks []chunk
	keys   []string // seen so far
	key    string
	indent []byte // of the items, nil before the first
	text   []byte // of the piece under way
	own    int    // bytes in it that are the file's
}

// line takes one line; false: the file is not to be split.
func (s *splitter) line(line []byte, number int) bool {
	trimmed := bytes.TrimRight(line, "\r\n")
	blank := len(bytes.TrimLeft(trimmed, " ")) == 0 || bytes.TrimLeft(trimmed, " ")[0] == '#'
	if !blank && trimmed[0] != ' ' && trimmed[0] != '-' {
		return s.begin(trimmed, line, number)
	}
	if !blank && !s.item(trimmed, number) {
		return false
	}
	s.text, s.own = append(s.text, line...), s.own+len(line)
	return true
}

// item takes a line of a list, and cuts before it where an item begins and
// the piece is long enough.
func (s *splitter) item(trimmed []byte, number int) bool {
	found := item.FindSubmatch(trimmed)
	first := s.indent == nil
	if first && found != nil {
		s.indent = append([]byte{}, found[1]...)
	}
	outside := s.indent == nil || !bytes.HasPrefix(trimmed, s.indent) || found == nil && trimmed[len(s.indent)] != ' '
	if s.key == "" || outside || literal.Match(trimmed) || bare.Match(trimmed) || bytes.HasPrefix(trimmed, []byte("---")) {
		return false
	}
	if found != nil && !first && len(found[1]) == len(s.indent) && s.own > s.size {
		s.cut()
		s.text = append(bytes.Repeat([]byte("\n"), number-2), s.key+":\n"...)
	}
	return true
}

// begin takes a top-level key.
func (s *splitter) begin(trimmed, line []byte, number int) bool {
	found := topKey.FindSubmatch(trimmed)
	if found == nil || slices.Contains(s.keys, string(found[1])) {
		return false
	}
	if s.key != "" {
		s.cut()
	}
	s.key, s.indent = string(found[1]), nil
	s.keys = append(s.keys, s.key)
	s.text, s.own = append(bytes.Repeat([]byte("\n"), number-1), line...), len(line)
	return true
}

// cut ends the piece under way.
func (s *splitter) cut() {
	if s.own > 0 && s.key != "" {
		s.chunks = append(s.chunks, chunk{s.key, s.text})
	}
	s.text, s.own = nil, 0
}
