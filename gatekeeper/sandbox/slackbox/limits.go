package slackbox

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"unicode/utf16"
)

// Slack's limits (docs.slack.dev/reference/block-kit and .../methods/chat.*).
const (
	maxMessageBlocks = 50
	maxViewBlocks    = 100
	maxText          = 40000 // chat.postMessage; Slack cuts there, which loses what follows, so we refuse
	maxUpdateText    = 4000  // chat.update
	maxMetadata      = 16 << 10
	maxViewSize      = 250 << 10
	// All blocks together: undocumented. github.com/slackapi/bolt-js issue 2509
	// found some 13,200 characters in one block and less with more of them; a
	// maintainer there speaks of 12,000 and "a buffer for block containers".
	maxAllBlocks = 13200
	eachObject   = 30 // counted for every block, element and text beside its text
)

// Block is a Block Kit block as it was sent, with block_id filled in.
type Block map[string]any

// length counts as the stricter reading of Slack's limits does: a character
// outside of the BMP twice.
func length(s string) int { return len(utf16.Encode([]rune(s))) }

// checker holds blocks against Slack's schema. Its messages are Slack's, with
// the JSON pointer to the place.
type checker struct {
	surface  string // message, modal, home
	messages []string
	ids      map[string]bool // block ids
	actions  map[string]bool // action ids of the block that is being checked
	inputs   bool            // an input block was there
	weight   int
}

func (c *checker) fail(at, format string, a ...any) {
	c.messages = append(c.messages, "[ERROR] "+fmt.Sprintf(format, a...)+" [json-pointer:"+at+"]")
}

// rule checks one value.
type rule func(c *checker, at string, v any)

// schema says what an object may have.
type schema struct {
	need   []string
	fields map[string]rule
}

// object checks v against s; type is always allowed, it chose the schema.
func (c *checker) object(at string, v any, s schema) {
	o, ok := v.(map[string]any)
	if !ok {
		c.fail(at, "must provide an object")
		return
	}
	c.weight += eachObject
	for _, k := range s.need {
		if o[k] == nil {
			c.fail(at, "missing required field: %s", k)
		}
	}
	for _, k := range sortedKeys(o) {
		check, ok := s.fields[k]
		switch {
		case k == "type":
		case !ok:
			c.fail(at, "invalid additional property: %s", k)
		case o[k] != nil:
			check(c, at+"/"+k, o[k])
		}
	}
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// typed checks an object by the schema that its type chooses.
func typed(schemas map[string]schema) rule {
	return func(c *checker, at string, v any) {
		kind := kindOf(v)
		s, ok := schemas[kind]
		if !ok {
			c.fail(at, "unsupported type: %s", kind)
			return
		}
		c.object(at, v, s)
	}
}

func kindOf(v any) string {
	o, ok := v.(map[string]any)
	if b, named := v.(Block); !ok && named {
		o = b
	}
	kind, _ := o["type"].(string)
	return kind
}

// str is a string of at least low and at most high characters.
func str(low, high int) rule {
	return func(c *checker, at string, v any) {
		s, ok := v.(string)
		switch {
		case !ok:
			c.fail(at, "must provide a string")
		case length(s) < low:
			c.fail(at, "must be more than %d characters", low-1)
		case length(s) > high:
			c.fail(at, "must be less than %d characters", high+1)
		}
	}
}

// oneOf is one of a few words.
func oneOf(words ...string) rule {
	return func(c *checker, at string, v any) {
		if s, ok := v.(string); !ok || !slices.Contains(words, s) {
			c.fail(at, "must be one of the allowed values: %q", words)
		}
	}
}

func boolean(c *checker, at string, v any) {
	if _, ok := v.(bool); !ok {
		c.fail(at, "must provide a boolean")
	}
}

func number(low, high int) rule {
	return func(c *checker, at string, v any) {
		n, err := strconv.Atoi(fmt.Sprint(v))
		if err != nil || n < low || n > high {
			c.fail(at, "must be a number from %d to %d", low, high)
		}
	}
}

func anything(*checker, string, any) {}

// items is a list of so many, each of which obeys the rule.
func items(low, high int, each rule) rule {
	return func(c *checker, at string, v any) {
		list, ok := v.([]any)
		switch {
		case !ok:
			c.fail(at, "must be an array")
			return
		case len(list) < low:
			c.fail(at, "no less than %d items required", low)
		case len(list) > high:
			c.fail(at, "no more than %d items allowed", high)
		}
		for i, x := range list {
			each(c, at+"/"+strconv.Itoa(i), x)
		}
	}
}

// text is a text object of these kinds.
func text(high int, kinds ...string) rule {
	return func(c *checker, at string, v any) {
		kind := kindOf(v)
		if !slices.Contains(kinds, kind) {
			c.fail(at, "must be one of the allowed text types: %q", kinds)
			return
		}
		s := schema{need: []string{"text"}, fields: map[string]rule{"text": str(1, high)}}
		if kind == "plain_text" {
			s.fields["emoji"] = boolean
		} else {
			s.fields["verbatim"] = boolean
		}
		before := len(c.messages)
		c.object(at, v, s)
		if len(c.messages) > before {
			c.messages = slices.Insert(c.messages, before, "[ERROR] failed to match all allowed schemas [json-pointer:"+at+"]")
		}
		c.weight += length(fmt.Sprint(v.(map[string]any)["text"]))
	}
}

func plain(high int) rule  { return text(high, "plain_text") }
func either(high int) rule { return text(high, "plain_text", "mrkdwn") }

// blockID is unique within a message or view.
func blockID(c *checker, at string, v any) {
	str(1, 255)(c, at, v)
	if id, ok := v.(string); ok {
		if c.ids[id] {
			c.fail(at, "`block_id` already exists: %s", id)
		}
		c.ids[id] = true
	}
}

// actionID is unique within its block.
func actionID(c *checker, at string, v any) {
	str(1, 255)(c, at, v)
	if id, ok := v.(string); ok {
		if c.actions[id] {
			c.fail(at, "`action_id` already exists: %s", id)
		}
		c.actions[id] = true
	}
}

// checkBlocks returns the blocks with an id each, or why Slack refuses them.
func (c *checker) checkBlocks(at string, v any, most int) []Block {
	list, ok := v.([]any)
	if !ok {
		c.fail(at, "must be an array")
		return nil
	}
	if len(list) > most {
		c.fail(at, "no more than %d items allowed", most)
	}
	c.ids = map[string]bool{}
	schemas := blockSchemas(c.surface)
	out := make([]Block, 0, len(list))
	for i, x := range list {
		c.actions = map[string]bool{}
		here := at + "/" + strconv.Itoa(i)
		typed(schemas)(c, here, x)
		b, _ := x.(map[string]any)
		c.block(here, b)
		out = append(out, Block(b))
	}
	if len(c.messages) == 0 {
		fillIDs(out)
	}
	return out
}

// block is what a table of fields cannot say.
func (c *checker) block(at string, b map[string]any) {
	switch kindOf(b) {
	case "section":
		if b["text"] == nil && b["fields"] == nil {
			c.fail(at, "missing required field: text")
		}
	case "image":
		if b["image_url"] == nil && b["slack_file"] == nil {
			c.fail(at, "missing required field: image_url")
		}
	case "markdown":
		s, _ := b["text"].(string)
		c.weight += length(s)
	case "input":
		c.inputs = true
	}
}

// fillIDs gives blocks and interactive elements the ids that Slack gives them.
func fillIDs(blocks []Block) {
	for i, b := range blocks {
		if s, _ := b["block_id"].(string); s == "" {
			b["block_id"] = fmt.Sprintf("b%04x", i)
		}
		elements, _ := b["elements"].([]any)
		for n, e := range append(slices.Clone(elements), b["accessory"], b["element"]) {
			o, ok := e.(map[string]any)
			if _, interactive := elementSchemas()[kindOf(o)]; ok && interactive && kindOf(o) != "image" && o["action_id"] == nil {
				o["action_id"] = fmt.Sprintf("a%04x", n)
			}
		}
	}
}

func size(v any) int {
	body, err := json.Marshal(v)
	if err != nil {
		return maxViewSize + 1
	}
	return len(body)
}
