package slack

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// Strangers' text (branches, commits, reasons, names) goes into plain_text
// objects with emoji off, which Slack never parses. What little has to stand
// in mrkdwn or in the fallback text goes through escape (threats row 28).

// line makes s safe to show on one line and cuts it to limit runes. What
// cannot be seen is replaced by a visible mark instead of dropped, so that
// "prod" and "prod<U+200B>" do not look the same.
func line(s string, limit int) string {
	return gatekeeper.Shorten(strings.Join(strings.Fields(visible(s, false)), " "), limit)
}

// exact is line for names that decide something: nothing is cut or merged,
// and a space that is not the space bar's shows.
func exact(s string) string {
	return visible(strings.Map(func(r rune) rune {
		if r != ' ' && unicode.Is(unicode.Zs, r) {
			return utf8.RuneError
		}
		return r
	}, s), false)
}

// lines is line for text that may have line breaks.
func lines(s string, limit int) string {
	s = strings.ReplaceAll(s, "\r\n", "\n")
	return gatekeeper.Shorten(strings.TrimSpace(visible(s, true)), limit)
}

// maxMarks is how many combining marks may stack on one letter. Languages
// need three; more of them paint over the lines around.
const maxMarks = 3

func visible(s string, breaks bool) string {
	var b strings.Builder
	marks := 0
	for _, r := range s {
		if !unicode.Is(unicode.M, r) {
			marks = 0
		} else if marks++; marks > maxMarks || ignorable(r) {
			continue
		}
		b.WriteRune(shown(r, breaks))
	}
	return b.String()
}

// shown is r, or the mark for what would hide or reorder text: controls,
// bidi and zero-width characters (Cf), private use, blank letters.
func shown(r rune, breaks bool) rune {
	switch {
	case r == '\n' && breaks:
		return r
	case r == '\u2800', r == '\u115f', r == '\u1160', r == '\u3164', r == '\uffa0':
		return utf8.RuneError // letters without ink
	case unicode.Is(unicode.Zs, r), r == '\t' && breaks:
		return ' '
	case unicode.IsPrint(r):
		return r
	}
	return utf8.RuneError
}

// ignorable are the marks that draw nothing themselves: joiners and variation
// selectors.
func ignorable(r rune) bool {
	return r == '\u034f' || r >= '\ufe00' && r <= '\ufe0f' || r >= 0xe0100 && r <= 0xe01ef || r >= '\u180b' && r <= '\u180f'
}

// escape makes a line literal in mrkdwn. Slack's three escapes stop mentions
// and links (https://docs.slack.dev/messaging/formatting-message-text). It
// has none for formatting, so those characters become look-alikes, but for
// underscores inside of words, which Slack leaves alone.
func escape(s string) string {
	runes := []rune(s)
	var b strings.Builder
	for i, r := range runes {
		b.WriteString(literal(r, i > 0 && wordy(runes[i-1]) && i+1 < len(runes) && wordy(runes[i+1])))
	}
	return b.String()
}

func literal(r rune, inside bool) string {
	switch {
	case r == '&':
		return "&amp;"
	case r == '<':
		return "&lt;"
	case r == '>':
		return "&gt;"
	case r == '*':
		return "∗"
	case r == '~':
		return "∼"
	case r == '`':
		return "'"
	case r == '_' && !inside:
		return "ˍ"
	case r == ':' && !inside:
		return "∶" // a ratio sign begins no emoji
	}
	return string(r)
}

func wordy(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_' }

// Slack's ids: an upper-case letter for the kind, then letters and digits.
var (
	userID    = regexp.MustCompile(`^[UW][A-Z0-9]{1,30}$`)
	groupID   = regexp.MustCompile(`^S[A-Z0-9]{1,30}$`)
	digestID  = regexp.MustCompile(`^dig_[a-z0-9]{1,64}$`)
	placeID   = regexp.MustCompile(`^[CGD][A-Z0-9]{1,30}$`)
	teamID    = regexp.MustCompile(`^[TE][A-Z0-9]{1,30}$`)
	messageTS = regexp.MustCompile(`^[0-9]{1,16}\.[0-9]{1,9}$`)
	requestID = regexp.MustCompile(`^req_[A-Za-z0-9_-]{1,64}$`)
	commitSHA = regexp.MustCompile(`^[0-9a-f]{7,64}$`)
)

// mention names a person for reading: by id where it is one, so that the name
// stays true when it changes. Edits of a message notify nobody.
func mention(id, name string) string {
	if userID.MatchString(id) {
		return "<@" + id + ">"
	}
	return escape(line(name, 80))
}
