package gatekeeper_test

import (
	"testing"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

func TestShorten(t *testing.T) {
	for _, c := range []struct {
		text string
		most int
		want string
	}{
		{"", 1, ""}, {"abc", 3, "abc"}, {"abcd", 3, "ab…"}, {"日本語です", 4, "日本語…"}, {"日本語", 3, "日本語"}, {"a\xffcd", 3, "a\ufffd…"}, {"ab", 1, "…"},
	} {
		if got := gatekeeper.Shorten(c.text, c.most); got != c.want {
			t.Errorf("%q to %d is %q, want %q", c.text, c.most, got, c.want)
		}
	}
}

func TestCount(t *testing.T) {
	for n, want := range map[int]string{0: "0 days", 1: "1 day", 2: "2 days"} {
		if got := gatekeeper.Count(n, "day"); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
