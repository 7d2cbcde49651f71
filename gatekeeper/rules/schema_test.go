package rules

import (
	"maps"
	"slices"
	"testing"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/conf"
)

// Every key has a meaning that editors show, and every meaning its key.
func TestMeanings(t *testing.T) {
	known := conf.Meanings(meanings)
	for _, path := range shape().Paths() {
		if known[path] == "" {
			t.Errorf("meanings.txt says nothing of %s", path)
		}
		delete(known, path)
	}
	for _, path := range slices.Sorted(maps.Keys(known)) {
		t.Errorf("meanings.txt speaks of %s, which is no key", path)
	}
}
