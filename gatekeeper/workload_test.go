package gatekeeper

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Threats row 9: two names fold to the same exactly where they are equal
// without regard to case, whichever way they are folded.
func TestFoldEnvironment(t *testing.T) {
	name := rapid.StringOfN(rapid.RuneFrom([]rune("aAkKsSzZ09-_/ſKéÉßẞσςΣİiIı")), 0, 6, -1)
	rapid.Check(t, func(t *rapid.T) {
		a, b := name.Draw(t, "a"), name.Draw(t, "b")
		if rapid.Bool().Draw(t, "alike") {
			b = strings.ToUpper(a)
		}
		if same := FoldEnvironment(a) == FoldEnvironment(b); same != strings.EqualFold(a, b) {
			t.Fatalf("%q and %q: folded alike: %v, equal: %v", a, b, same, !same)
		}
	})
}
