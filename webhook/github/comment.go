package github

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// maxComment is what GitHub takes of a report's comment.
const maxComment = 1024

func jsonInt(n int) string { return strconv.Itoa(n) }

// commentOf names who decided, and why, and where to read it all.
func commentOf(r gatekeeper.Request, publicURL string) string {
	by := "somebody"
	if v := r.DeniedBy(); v != nil {
		by = plain(nameOf(v.Person))
	}
	var said string
	switch r.State {
	case gatekeeper.Approved:
		said = approvedBy(r)
	case gatekeeper.Denied:
		said = "Denied by " + by + because(r.DenyReason)
	case gatekeeper.Revoked:
		said = "The approval was revoked by " + by + because(r.DenyReason)
	case gatekeeper.Expired:
		said = "Expired: not enough people decided in time (rule " + plain(r.Rule.Name) + ")"
	case gatekeeper.Superseded:
		said = "Superseded: a newer run asks for the same environment"
	default:
		said = "Ended as " + string(r.State)
	}
	link := "\n" + publicURL + "/requests/" + r.ID
	return shorten(said, maxComment-len(link)) + link
}

func approvedBy(r gatekeeper.Request) string {
	var names []string
	for _, v := range r.ApprovedBy() {
		names = append(names, plain(nameOf(v.Person))+because(v.Reason))
	}
	if len(names) == 0 {
		return "Allowed by rule " + plain(r.Rule.Name) + ", which asks nobody"
	}
	how := ""
	if r.BrokenGlass {
		how = " in an emergency (break glass)"
	}
	return "Approved by " + strings.Join(names, ", ") + how + " (rule " + plain(r.Rule.Name) + ")"
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": “" + plain(reason) + "”"
}

func nameOf(p gatekeeper.Person) string {
	if p.Name != "" {
		return p.Name
	}
	return "Slack user " + p.Slack
}

func comment(text string) string { return shorten(plain(text), maxComment) }

// plain keeps people's text to one line that mentions nobody and formats
// nothing where GitHub shows it: names and reasons are strangers' text.
func plain(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '@':
			return '＠'
		case r == '<':
			return '‹'
		case r == '>':
			return '›'
		case r == '`' || r == '*' || r == '[' || r == ']':
			return '\''
		case unicode.IsPrint(r):
			return r
		case unicode.IsSpace(r):
			return ' '
		}
		return unicode.ReplacementChar
	}, s)
	return strings.Join(strings.Fields(s), " ")
}

// shorten cuts by whole characters, counting as the stricter reading of
// GitHub's limit does.
func shorten(s string, limit int) string {
	if len(utf16.Encode([]rune(s))) <= limit {
		return s
	}
	var b strings.Builder
	width := 1 // of the mark at the end
	for _, r := range s {
		if width += utf16.RuneLen(r); width > limit {
			break
		}
		b.WriteRune(r)
	}
	return b.String() + "…"
}
