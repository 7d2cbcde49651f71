package slack

import (
	"fmt"
	"net/url"
	"strings"
	"time"
	"unicode/utf16"

	slackgo "github.com/slack-go/slack"
)

// Slack's limits (docs.slack.dev/reference/block-kit/blocks), and ours where
// we stay below them: Slack counts a character outside of the BMP twice.
const (
	maxHeader  = 150  // plain_text of a header
	maxField   = 2000 // text of a section's field
	maxFields  = 10   // of a section
	maxValue   = 300  // ours: what is cut in a field
	maxTitle   = 150  // ours: of a commit
	maxReason  = 700  // ours: reasons shown
	maxModal   = 1000 // ours: reasons typed
	maxPeople  = 12   // ours: names listed
	maxCommits = 10   // ours: commits listed
)

// words is literal text: Slack parses nothing in it.
func words(s string) *slackgo.TextBlockObject {
	return slackgo.NewTextBlockObject(slackgo.PlainTextType, atLeast(s), false, false)
}

// markup is text of our own with Slack's formatting. verbatim keeps Slack
// from making links and mentions of what merely looks like some.
func markup(s string) *slackgo.TextBlockObject {
	return slackgo.NewTextBlockObject(slackgo.MarkdownType, atLeast(s), false, true)
}

// atLeast: Slack refuses empty texts.
func atLeast(s string) string {
	if strings.TrimSpace(s) == "" {
		return "–"
	}
	return s
}

func section(text *slackgo.TextBlockObject) slackgo.Block {
	return slackgo.NewSectionBlock(text, nil, nil)
}

func small(texts ...*slackgo.TextBlockObject) slackgo.Block {
	elements := make([]slackgo.MixedElement, len(texts))
	for i, t := range texts {
		elements[i] = t
	}
	return slackgo.NewContextBlock("", elements...)
}

// row is a label of ours and a value, side by side.
type row struct {
	label string
	value *slackgo.TextBlockObject
}

// table lays rows out in as many sections as their fields need.
func table(rows []row) []slackgo.Block {
	var blocks []slackgo.Block
	var fields []*slackgo.TextBlockObject
	for i, r := range rows {
		fields = append(fields, markup("*"+r.label+"*"), r.value)
		if len(fields) == maxFields || i == len(rows)-1 {
			blocks = append(blocks, slackgo.NewSectionBlock(nil, fields, nil))
			fields = nil
		}
	}
	return blocks
}

// width counts as the stricter reading of Slack's limits does.
func width(s string) int { return len(utf16.Encode([]rune(s))) }

// date shows a time in the reader's own zone, and in UTC where Slack cannot.
func date(t time.Time) string {
	return fmt.Sprintf("<!date^%d^{date_short_pretty} at {time}|%s>", t.Unix(), t.UTC().Format("2006-01-02 15:04 UTC"))
}

// link is a link with text of ours, or the text alone where the address is
// not one that people should click. It also keeps an address from ending the
// link early.
func link(address, text string) string {
	if clean, ok := webAddress(address); ok {
		return "<" + clean + "|" + text + ">"
	}
	return text
}

func webAddress(raw string) (string, bool) {
	u, err := url.Parse(raw)
	if err != nil || len(raw) > 1500 || !safeURL(raw) {
		return "", false
	}
	clean := strings.NewReplacer("~", "%7E", "*", "%2A").Replace(u.String())
	if strings.ContainsFunc(clean, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune("<>|\"`", r) }) {
		return "", false
	}
	return strings.ReplaceAll(clean, "&", "&amp;"), true
}
