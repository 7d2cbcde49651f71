package storetest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// find wants requests newest first, by each part of the filter.
func find(t *testing.T, b Backend) {
	var last gatekeeper.Request
	for i := range 5 {
		key, decide := Opener(fmt.Sprint("req_", i), fmt.Sprint(i))
		r, err := b.Open(t.Context(), key, func(v gatekeeper.OpenView) (gatekeeper.Change, error) {
			v.Now = v.Now.Add(time.Duration(i) * time.Second)
			return decide(v)
		})
		if err != nil {
			t.Fatal(err)
		}
		last = r
	}
	for _, id := range []string{"req_1", "req_3"} {
		if _, err := b.Update(t.Context(), id, func(old gatekeeper.Request, _ time.Time) (gatekeeper.Change, error) {
			old.State = gatekeeper.Denied
			return gatekeeper.Change{Request: old}, nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	repository := gatekeeper.RepositoryKey(last.Workload)
	for name, c := range map[string]struct {
		filter gatekeeper.Filter
		want   []string
	}{
		"all":                {gatekeeper.Filter{}, []string{"req_4", "req_3", "req_2", "req_1", "req_0"}},
		"pending":            {gatekeeper.Filter{States: []gatekeeper.State{gatekeeper.Pending}}, []string{"req_4", "req_2", "req_0"}},
		"two states":         {gatekeeper.Filter{States: []gatekeeper.State{gatekeeper.Pending, gatekeeper.Denied}, Limit: 2}, []string{"req_4", "req_3"}},
		"no such state":      {gatekeeper.Filter{States: []gatekeeper.State{gatekeeper.Revoked}}, nil},
		"environment":        {gatekeeper.Filter{Environment: "PRODUCTION", Limit: 1}, []string{"req_4"}},
		"other environment":  {gatekeeper.Filter{Environment: "staging"}, nil},
		"the newest":         {gatekeeper.Filter{Limit: 1}, []string{"req_4"}},
		"rule":               {gatekeeper.Filter{Rule: "r", Limit: 1}, []string{"req_4"}},
		"another rule":       {gatekeeper.Filter{Rule: "other"}, nil},
		"repository":         {gatekeeper.Filter{Repository: repository, States: []gatekeeper.State{gatekeeper.Denied}}, []string{"req_3", "req_1"}},
		"another repository": {gatekeeper.Filter{Repository: "other"}, nil},
	} {
		found, err := b.Find(t.Context(), c.filter)
		var ids []string
		for _, r := range found {
			ids = append(ids, r.ID)
		}
		if err != nil || !slices.Equal(ids, c.want) {
			t.Errorf("%s: %v, want %v (%v)", name, ids, c.want, err)
		}
	}
}

func notesOfAKind(t *testing.T, b Backend) {
	want := map[string]string{"a": "1", "b": "2", "c": "3"}
	for key, value := range want {
		set(t, b, "k", key, value)
	}
	set(t, b, "other", "a", "4")
	texts := func(notes map[string][]byte, err error) map[string]string {
		if err != nil {
			t.Error(err)
		}
		out := map[string]string{}
		for k, v := range notes {
			out[k] = string(v)
		}
		return out
	}
	if got := texts(b.Notes(t.Context(), "k", 10)); !maps.Equal(got, want) {
		t.Errorf("got %v", got)
	}
	if got := texts(b.Notes(t.Context(), "k", 2)); len(got) != 2 {
		t.Errorf("a limit of two gives %v", got)
	}
	for range 2 { // the second time there is nothing to drop
		if err := b.DropNote(t.Context(), "k", "b"); err != nil {
			t.Error(err)
		}
	}
	delete(want, "b")
	if got := texts(b.Notes(t.Context(), "k", 10)); !maps.Equal(got, want) {
		t.Errorf("after dropping one: %v", got)
	}
	if got := texts(b.Notes(t.Context(), "nothing", 10)); len(got) != 0 {
		t.Errorf("of a kind that nobody made: %v", got)
	}
}

func set(t *testing.T, b interface {
	SetNote(ctx context.Context, kind, key string, value []byte) error
}, kind, key, value string) {
	t.Helper()
	if err := b.SetNote(t.Context(), kind, key, []byte(value)); err != nil {
		t.Fatal(err)
	}
}
