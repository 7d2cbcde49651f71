package gatekeeper

import (
	"fmt"
	"unicode/utf8"
)

// MaxShown is how much of a stranger's text stands in an error or is kept to
// be shown: enough to know it again, too little to bury what is said about it.
const MaxShown = 200

// Shorten bounds a text by runes, never inside one. What was cut ends in an
// ellipsis, which counts, and bytes that are no text become U+FFFD then.
func Shorten(s string, most int) string {
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most-1]) + "…"
}

// Count says how many of something there are, in words for people.
func Count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
