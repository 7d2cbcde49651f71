package rules

import (
	"fmt"
	"strings"
	"testing"
)

// Comparing rules with each other ends after so many comparisons, whoever
// wrote them; rules that name repositories are not compared with all others.
func TestComparisonsAreBounded(t *testing.T) {
	for match, wantLeft := range map[string]bool{"ref: refs/heads/%d": false, `repository: acme/r%d, repository_id: "1%[1]d"`: true} {
		var text strings.Builder
		text.WriteString("rules:\n")
		for i := range 100 {
			fmt.Fprintf(&text, "- {name: r%d, match: {"+match+"}, environment: e, approval: none}\n", i, i)
		}
		set, faults := Parse([]File{{Name: "r.yaml", Body: []byte(text.String())}}, Options{})
		if faults.Err() != nil {
			t.Fatal(faults)
		}
		s := &shadows{under: map[string][]int{}, left: 1000}
		for i := range set.rules {
			s.by(set.rules, i)
		}
		if s.spent() == wantLeft || s.left < -100 {
			t.Errorf("%s: %d comparisons are left", match, s.left)
		}
	}
}
