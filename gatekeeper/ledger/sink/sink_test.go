package sink_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/ledger"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/ledger/sink"
)

// world is a ledger in memory with its cursors.
type world struct {
	mu     sync.Mutex
	leaves []ledger.Leaf
	notes  map[string][]byte
	grown  chan struct{}
	most   int // events of one page
}

func newWorld(n int) *world {
	w := &world{notes: map[string][]byte{}, grown: make(chan struct{}, 1)}
	w.grow(n)
	return w
}

func (w *world) grow(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for range n {
		i := int64(len(w.leaves))
		kind := gatekeeper.EventVoteCounted
		if i%2 == 1 {
			kind = gatekeeper.EventRequestApproved
		}
		e := gatekeeper.Event{ID: fmt.Sprintf("evt_%d", i), Type: kind, Time: time.Unix(1700000000+i, 0).UTC(), Request: "req_1"}
		body, _ := json.Marshal(e)
		w.leaves = append(w.leaves, ledger.Leaf{Index: i, ID: e.ID, Type: string(kind), Request: e.Request, Time: e.Time, Body: body})
	}
	select {
	case w.grown <- struct{}{}:
	default:
	}
}

func (w *world) Page(_ context.Context, from int64, n int, visit func(ledger.Leaf) error) error {
	w.mu.Lock()
	page := append([]ledger.Leaf(nil), w.leaves[min(int(from), len(w.leaves)):min(int(from)+n, len(w.leaves))]...)
	w.most = max(w.most, len(page))
	w.mu.Unlock()
	for _, l := range page {
		if err := visit(l); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) Size(context.Context) (int64, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return int64(len(w.leaves)), nil
}

// CheckpointUpTo has one for each ten events.
func (w *world) CheckpointUpTo(_ context.Context, size int64) ([]byte, error) {
	if size /= 10; size == 0 {
		return nil, nil
	}
	return fmt.Appendf(nil, "gatekeeper.test/ledger\n%d\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n— sig\n", size*10), nil
}

func (w *world) Note(_ context.Context, kind, key string) ([]byte, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.notes[kind+key], nil
}

func (w *world) SetNote(_ context.Context, kind, key string, value []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.notes[kind+key] = value
	return nil
}

// taker keeps what it is given, and fails when it is told to.
type taker struct {
	mu    sync.Mutex
	ids   []string
	err   error
	tries int
	came  chan int
}

func (t *taker) Send(_ context.Context, batch []ledger.Record) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.tries++
	if t.err != nil {
		return t.err
	}
	for _, r := range batch {
		t.ids = append(t.ids, r.ID)
	}
	if t.came != nil {
		t.came <- len(t.ids)
	}
	return nil
}

func (t *taker) fail(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.err = err
}

func (w *world) sink(t testing.TB, out sink.Out, events ...string) *sink.Sink {
	t.Helper()
	f, err := ledger.NewFormat("jsonl", ledger.FormatOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return sink.New(sink.Options{
		Name: "test", Out: out, Format: f, Events: events, Source: w, Memory: w,
		Grown: func() (<-chan struct{}, func()) { return w.grown, func() {} }, Logger: slog.New(slog.DiscardHandler),
	})
}

func all(t *testing.T, s *sink.Sink) {
	t.Helper()
	for more := true; more; {
		var err error
		if more, err = s.Step(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// Everything comes once and in order, in pages, with checkpoints behind the
// events that they cover; a sink made anew goes on where the last one stopped.
func TestInOrder(t *testing.T) {
	w, out := newWorld(1234), &taker{}
	all(t, w.sink(t, out))
	w.grow(6)
	all(t, w.sink(t, out))
	next, checkpoints := 0, []string{}
	for _, id := range out.ids {
		if strings.HasPrefix(id, "checkpoint_") {
			checkpoints = append(checkpoints, id)
			var size int
			if _, err := fmt.Sscanf(id, "checkpoint_%d", &size); err != nil || size > next {
				t.Errorf("%s came after %d events", id, next)
			}
			continue
		}
		if id != fmt.Sprintf("evt_%d", next) {
			t.Fatalf("%s came as number %d", id, next)
		}
		next++
	}
	if next != 1240 || checkpoints[len(checkpoints)-1] != "checkpoint_1240" || w.most > 200 {
		t.Errorf("%d events, checkpoints %v, pages of %d", next, checkpoints, w.most)
	}
}

// What was not taken comes again, whole; nothing behind it overtakes it.
func TestRefusedPageComesAgain(t *testing.T) {
	w, out := newWorld(5), &taker{}
	s := w.sink(t, out)
	out.fail(errors.New("no"))
	for range 3 {
		if _, err := s.Step(t.Context()); err == nil {
			t.Fatal("a failure was taken for a delivery")
		}
		w.grow(1)
	}
	if lag, err := s.Lag(t.Context(), time.Unix(1700000060, 0)); err != nil || lag.Events != 8 || lag.Age != time.Minute {
		t.Errorf("lag %+v, %v", lag, err)
	}
	out.fail(nil)
	all(t, s)
	if strings.Join(out.ids, " ") != "evt_0 evt_1 evt_2 evt_3 evt_4 evt_5 evt_6 evt_7" {
		t.Errorf("got %v", out.ids)
	}
	if lag, err := s.Lag(t.Context(), time.Now()); err != nil || lag.Events != 0 {
		t.Errorf("lag %+v, %v", lag, err)
	}
}

func TestFilter(t *testing.T) {
	for _, c := range []struct {
		events []string
		want   string
	}{
		{nil, "evt_0 evt_1 evt_2 evt_3"}, {[]string{"vote.*"}, "evt_0 evt_2"}, {[]string{"request.approved"}, "evt_1 evt_3"},
		{[]string{"request.approve"}, ""}, {[]string{"*"}, "evt_0 evt_1 evt_2 evt_3"},
	} {
		w, out := newWorld(4), &taker{}
		all(t, w.sink(t, out, c.events...))
		if got := strings.Join(out.ids, " "); got != c.want {
			t.Errorf("%v: got %q, want %q", c.events, got, c.want)
		}
	}
	w, out := newWorld(10), &taker{}
	all(t, w.sink(t, out, "nothing.*"))
	if strings.Join(out.ids, " ") != "checkpoint_10" {
		t.Errorf("checkpoints come whatever the filter: %v", out.ids)
	}
}

// Run delivers at once what is new, tries a receiver that is down with
// growing pauses, waits as long as it asks for, and delivers the last events
// when it is stopped.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, out := newWorld(1), &taker{}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { w.sink(t, out).Run(ctx) })
		synctest.Wait()
		if len(out.ids) != 1 {
			t.Fatalf("at the start: %v", out.ids)
		}
		out.fail(errors.New("down"))
		w.grow(1)
		time.Sleep(time.Hour) // of the bubble's clock
		synctest.Wait()
		if out.tries < 60 || out.tries > 140 {
			t.Errorf("%d tries in an hour", out.tries)
		}
		out.fail(nil)
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(out.ids) != 2 {
			t.Fatalf("after the outage: %v", out.ids)
		}
		out.fail(&gatekeeper.Error{Code: gatekeeper.CodeUnavailable, RetryAfter: 5 * time.Minute})
		before := out.tries
		w.grow(1)
		time.Sleep(4 * time.Minute)
		synctest.Wait()
		if out.tries != before+1 {
			t.Errorf("%d tries before the time that was asked for", out.tries-before)
		}
		out.fail(nil)
		cancel()
		wg.Wait()
		if len(out.ids) != 3 {
			t.Errorf("at the end: %v", out.ids)
		}
	})
}
