package store_test

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/postgres"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/store"
	"pgregory.net/rapid"
)

// What a batch's changes go by is read before the first of them, so each has
// to see what those before it wrote: the same changes in one batch and one
// after the other come to the same.
func TestBatchIsLikeOneByOne(t *testing.T) {
	batches(t, open(t, filepath.Join(t.TempDir(), "one.db")), open(t, filepath.Join(t.TempDir(), "other.db")))
}

func batchOnPostgres(t *testing.T, pg *postgres.Server) {
	batches(t, replica(t, pg.Database(), signer(t)), replica(t, pg.Database(), signer(t)))
}

func batches(t *testing.T, together, apart *store.Store) {
	round := 0
	rapid.Check(t, func(r *rapid.T) {
		round++
		changes := rapid.SliceOfN(rapid.Custom(drawChange), 1, 12).Draw(r, "changes")
		before := rapid.IntRange(0, len(changes)).Draw(r, "before") // these are in the database when the batch begins
		want := oneByOne(apart, round, changes)
		got := slices.Concat(oneByOne(together, round, changes[:before]), atOnce(together, round, changes, before))
		for i := range changes {
			if got[i] != want[i] {
				r.Fatalf("change %d, %+v: in a batch %q, alone %q", i, changes[i], got[i], want[i])
			}
		}
	})
}

func oneByOne(s *store.Store, round int, changes []change) (said []string) {
	for i, c := range changes {
		said = append(said, c.make(s, round, i))
	}
	return said
}

// atOnce has all changes from one on wait behind a change that takes long.
func atOnce(s *store.Store, round int, changes []change, from int) []string {
	held, release := make(chan struct{}), make(chan struct{})
	go func() {
		_, _ = s.Open(context.Background(), gatekeeper.OpenKey{}, func(gatekeeper.OpenView) (gatekeeper.Change, error) {
			close(held)
			<-release
			return gatekeeper.Change{}, nil
		})
	}()
	<-held
	said := make([]string, len(changes)-from)
	done := make(chan struct{})
	for i := range said {
		go func() {
			said[i] = changes[from+i].make(s, round, from+i)
			done <- struct{}{}
		}()
		for store.Queued(s) != i+1 {
			runtime.Gosched()
		}
	}
	close(release)
	for range said {
		<-done
	}
	return said
}

// change is one of few kinds, about few things, so that they meet.
type change struct {
	Kind                      string
	Binding, Deployment, Repo int
	State                     gatekeeper.State
}

func drawChange(t *rapid.T) change {
	few := func(label string) int { return rapid.IntRange(1, 3).Draw(t, label) }
	return change{
		Kind:    rapid.SampledFrom([]string{"open", "open", "update", "update", "token", "once"}).Draw(t, "kind"),
		Binding: few("binding"), Deployment: few("deployment"), Repo: few("repo"),
		State: rapid.SampledFrom([]gatekeeper.State{gatekeeper.Pending, gatekeeper.Pending, gatekeeper.Approved, gatekeeper.Denied}).Draw(t, "state"),
	}
}

// make makes the change, and tells all that it saw.
func (c change) make(s *store.Store, round, i int) string {
	ctx := context.Background()
	key := func(kind string, n int) string { return fmt.Sprint(kind, " ", round, " ", n) }
	w := gatekeeper.Workload{IssuerURL: "https://issuer", RepositoryID: key("repo", c.Repo)}
	next := gatekeeper.Request{
		ID: "req_" + key(fmt.Sprint(9-i), c.Binding), Binding: key("binding", c.Binding), State: c.State, Version: 1,
		Workload: w, CreatedAt: time.Unix(int64(i), 0).UTC(), // ids and times have other orders
	}
	switch c.Kind {
	case "open":
		if c.State == gatekeeper.Approved {
			next.Binding = key("deployment", c.Deployment)
		}
		var seen string
		k := gatekeeper.OpenKey{Binding: key("binding", c.Binding), Deployment: key("deployment", c.Deployment), Repository: gatekeeper.RepositoryKey(w)}
		_, err := s.Open(ctx, k, func(v gatekeeper.OpenView) (gatekeeper.Change, error) {
			seen = fmt.Sprint(tell(v.Existing), " ", tell(v.Held), " ", v.Pending)
			switch {
			case v.Existing != nil && c.State == gatekeeper.Denied:
				old := *v.Existing
				old.State = c.State
				return gatekeeper.Change{Request: old}, nil
			case v.Existing != nil && v.Existing.State == gatekeeper.Pending:
				return gatekeeper.Change{}, nil
			}
			next.Version = 0
			return gatekeeper.Change{Request: next}, nil
		})
		return fmt.Sprint(seen, " ", gatekeeper.CodeOf(err))
	case "update":
		var seen string
		of := fmt.Sprint("req_", key(fmt.Sprint(9-c.Deployment), c.Binding)) // one of the first, if it is there
		_, err := s.Update(ctx, of, func(old gatekeeper.Request, _ time.Time) (gatekeeper.Change, error) {
			seen = tell(&old)
			old.State = c.State
			return gatekeeper.Change{Request: old}, nil
		})
		return fmt.Sprint(seen, " ", gatekeeper.CodeOf(err))
	case "token":
		token := gatekeeper.Token{ID: key("token", c.Binding), Hash: fmt.Sprint(c.Repo), ExpiresAt: time.Now().Add(time.Hour)}
		return fmt.Sprint(gatekeeper.CodeOf(s.UseToken(ctx, "https://issuer", token)))
	default: // once
		first, err := s.Once(ctx, key("once", c.Binding), time.Hour, gatekeeper.Change{})
		return fmt.Sprint(first, gatekeeper.CodeOf(err))
	}
}

func tell(r *gatekeeper.Request) string {
	if r == nil {
		return "none"
	}
	return fmt.Sprint(r.ID, "@", r.Version, " ", r.State)
}
