package issuer

import (
	"strings"
	"testing"
	"time"
)

// FuzzSignsFrom: a line that was meant to hold a key back either does, or the
// file is refused: none is read over.
func FuzzSignsFrom(f *testing.F) {
	for _, text := range []string{"", "# signs from 2026-03-02T10:00:00Z\n", "# signs from tomorrow\n", "# key x\n#signs from 2026-03-02T10:00:00Z\n", "# signs\r\n-----BEGIN"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		from, err := signsFrom([]byte(text))
		before, _, _ := strings.Cut(text, "-----BEGIN")
		lines := 0
		for line := range strings.Lines(before) {
			if meant(strings.TrimSpace(line)) {
				lines++
			}
		}
		if err == nil && (lines == 0) != from.IsZero() && !strings.Contains(before, "0001-01-01") {
			t.Errorf("%d lines, and it signs from %s: %q", lines, from, text)
		}
		if err == nil && lines == 1 && !strings.Contains(before, from.Format(time.RFC3339)) && from.Nanosecond() == 0 && from.Location() == time.UTC {
			t.Errorf("it signs from %s: %q", from, text)
		}
	})
}
