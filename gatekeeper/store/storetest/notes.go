package storetest

import (
	"fmt"
	"testing"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

func notes(t *testing.T, b Backend) {
	if v, err := b.Note(t.Context(), "k", "x"); err != nil || v != nil {
		t.Errorf("a note that nobody made: %q, %v", v, err)
	}
	for _, value := range []string{"1", "2"} {
		if err := b.SetNote(t.Context(), "k", "x", []byte(value)); err != nil {
			t.Fatal(err)
		}
		if v, err := b.Note(t.Context(), "k", "x"); err != nil || string(v) != value {
			t.Errorf("got %q, %v", v, err)
		}
	}
	notesInChanges(t, b)
}

// Notes are written with the change that they belong to, or not at all; a
// prefix is no pattern.
func notesInChanges(t *testing.T, b Backend) {
	note := func(key, value string) gatekeeper.Note {
		return gatekeeper.Note{Kind: "p", Key: key, Value: []byte(value)}
	}
	err := b.Record(t.Context(), gatekeeper.Change{Notes: []gatekeeper.Note{note("u1/b", "2"), note("u1/a", "1"), note("u2/a", "3"), note("u%/a", "4")}})
	if err != nil {
		t.Fatal(err)
	}
	keys := func(prefix string) (all []string) {
		found, err := b.NotesUnder(t.Context(), "p", prefix)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range found {
			all = append(all, n.Key+"="+string(n.Value))
		}
		return all
	}
	if got := fmt.Sprint(keys("u1/"), keys("u%"), len(keys(""))); got != "[u1/a=1 u1/b=2] [u%/a=4] 4" {
		t.Errorf("found %s", got)
	}
	if err := b.Record(t.Context(), gatekeeper.Change{Notes: []gatekeeper.Note{{Kind: "p", Key: "u1/a"}}}); err != nil || len(keys("u1/")) != 1 {
		t.Errorf("a removed note stays: %v, %v", keys("u1/"), err)
	}
	// The second event of one id cannot be stored, so neither is the note.
	twice := gatekeeper.Event{ID: "evt_twice", Type: gatekeeper.EventPasskeyEnrolled}
	if err := b.Record(t.Context(), gatekeeper.Change{Events: []gatekeeper.Event{twice, twice}, Notes: []gatekeeper.Note{note("u3/a", "5")}}); err == nil || len(keys("u3/")) != 0 {
		t.Errorf("a note without its event: %v, %v", keys("u3/"), err)
	}
}
