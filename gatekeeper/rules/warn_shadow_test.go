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
		_, faults := Parse([]File{{Name: "r.yaml", Body: []byte(text.String())}}, Options{compared: 1000})
		if faults.Err() != nil {
			t.Fatal(faults)
		}
		if ended := strings.Count(faults.Error(), "rules after this one are not compared with those before"); (ended == 1) == wantLeft {
			t.Errorf("%s: it is told %d times that comparing ended", match, ended)
		}
	}
}
