package rules

import (
	"regexp"
	"strings"
)

// pattern is a glob: `*` matches within a segment, `**` across segments, and
// everything else means itself, so `github-actions[bot]` needs no escape. A
// pattern always matches the whole value (threats row 5).
type pattern struct {
	source string
	fold   bool           // compared without regard to case
	re     *regexp.Regexp // nil: no star, plain comparison
}

func compile(source string, fold bool) pattern {
	p := pattern{source: source, fold: fold}
	if !strings.Contains(source, "*") {
		return p
	}
	expr := regexp.QuoteMeta(source)
	expr = strings.ReplaceAll(expr, `\*\*`, `.*`)
	expr = strings.ReplaceAll(expr, `\*`, `[^/]*`)
	flags := "s"
	if fold {
		flags = "si"
	}
	p.re = regexp.MustCompile(`(?` + flags + `)\A(?:` + expr + `)\z`) // quoted above: always an expression
	return p
}

// matches says whether a value fits. The empty value is an absent claim, and
// matches nothing (threats row 4).
func (p pattern) matches(value string) bool {
	switch {
	case value == "":
		return false
	case p.re != nil:
		return p.re.MatchString(value)
	case p.fold:
		return strings.EqualFold(p.source, value)
	}
	return p.source == value
}

func anyMatches(patterns []pattern, value string) bool {
	for _, p := range patterns {
		if p.matches(value) {
			return true
		}
	}
	return false
}

func sources(patterns []pattern) string {
	all := make([]string, len(patterns))
	for i, p := range patterns {
		all[i] = p.source
	}
	return strings.Join(all, " or ")
}
