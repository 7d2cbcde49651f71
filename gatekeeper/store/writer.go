package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// maxBatch bounds how many changes share a commit, and with it how long the
// first of them waits for the last.
const maxBatch = 256

// writeTime bounds a batch: a database that hangs must not hold everybody up
// for ever.
const writeTime = 15 * time.Second

// op is one change waiting for the writer. decide reads and says what to
// write; it writes nothing itself, so that its error leaves the batch whole.
type op struct {
	ctx    context.Context
	ask    *ask // what decide goes by, when that is known beforehand
	decide func(*tx) (gatekeeper.Change, error)
	err    error
	done   chan struct{}
}

// do queues a change and waits until it is durable.
func (s *Store) do(ctx context.Context, decide func(*tx) (gatekeeper.Change, error)) error {
	return s.doAsking(ctx, nil, decide)
}

// doAsking is do for a change whose one look at the database is made together
// with those of its whole batch.
func (s *Store) doAsking(ctx context.Context, a *ask, decide func(*tx) (gatekeeper.Change, error)) error {
	o := &op{ctx: ctx, ask: a, decide: decide, done: make(chan struct{})}
	select {
	case <-s.stop:
		return unavailable(sql.ErrConnDone)
	default:
	}
	select {
	case s.ops <- o:
	case <-s.stop:
		return unavailable(sql.ErrConnDone)
	case <-ctx.Done():
		return unavailable(ctx.Err())
	}
	select {
	case <-o.done:
		return o.err
	case <-s.done: // the writer stopped; it may have been this one's batch
		select {
		case <-o.done:
			return o.err
		default:
			return unavailable(sql.ErrConnDone)
		}
	}
}

// writer is the one that writes.
type writer struct {
	s    *Store
	tree tree
}

func newWriter(s *Store) *writer { return &writer{s: s} }

func (w *writer) run() {
	defer close(w.s.done)
	for {
		select {
		case first := <-w.s.ops:
			w.batch(w.gather(first))
		case <-w.s.stop:
			return
		}
	}
}

// gather takes what waits already; it never waits for more.
func (w *writer) gather(first *op) []*op {
	batch := []*op{first}
	for len(batch) < maxBatch {
		select {
		case next := <-w.s.ops:
			batch = append(batch, next)
		default:
			return batch
		}
	}
	return batch
}

// batch runs changes in one transaction. One whose decision fails is left
// out; a failure to write fails all of them, since none became durable.
func (w *writer) batch(ops []*op) {
	// Nobody's own context: the others in the batch did not give up.
	ctx, cancel := context.WithTimeout(context.Background(), writeTime)
	defer cancel()
	t := &tx{w: w, ctx: ctx}
	err := t.begin(asks(ops))
	for _, o := range ops {
		if err != nil {
			break
		}
		if o.err = o.ctx.Err(); o.err != nil {
			o.err = unavailable(o.err)
			continue
		}
		var change gatekeeper.Change
		if change, o.err = o.decide(t); o.err == nil {
			err = t.apply(change)
		}
	}
	if err == nil {
		err = t.commit()
	} else {
		t.rollback()
	}
	w.answer(ops, t, unavailable(err))
}

func (w *writer) answer(ops []*op, t *tx, err error) {
	w.s.remember(t, err)
	if err != nil {
		w.s.o.Logger.Error("storage does not take changes", "error", err)
	}
	for _, o := range ops {
		if err != nil {
			o.err = err
		}
		close(o.done)
	}
	if err != nil {
		return
	}
	for _, id := range t.changed {
		w.s.hub.notify(id)
	}
	if len(t.events) > 0 {
		w.s.hub.notify(Ledgers)
	}
	if t.worked {
		w.s.wakeUp()
	}
}

func (s *Store) wakeUp() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// tx is the transaction of a batch.
type tx struct {
	w       *writer
	ctx     context.Context
	now     time.Time
	bodies  [][]byte
	events  []gatekeeper.Event
	changed []string
	worked  bool
	written
}

func (t *tx) begin(asks []*ask) error {
	now, err := t.w.s.session.begin(t.ctx, t.w.tree.ask(asks, t.w.s.Shared()))
	if t.now = now; t.w.s.o.Now != nil {
		t.now = t.w.s.o.Now().UTC()
	}
	return err
}

// apply writes a change's request and work; its events wait for the end of
// the batch, where they become leaves together.
func (t *tx) apply(c gatekeeper.Change) error {
	if c.Request.ID != "" {
		if err := t.put(c.Request); err != nil {
			return err
		}
	}
	for _, e := range c.Events {
		body, err := json.Marshal(e)
		if err != nil {
			return err
		}
		t.bodies, t.events = append(t.bodies, body), append(t.events, e)
	}
	for _, work := range c.Work {
		if err := t.enqueue(work); err != nil {
			return err
		}
	}
	for _, n := range c.Notes {
		if err := t.note(n); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) commit() error {
	err := t.w.tree.grow(t)
	if err == nil {
		err = t.w.s.session.commit(t.ctx, t.changed, t.worked || len(t.events) > 0)
	}
	if err != nil {
		t.rollback()
	}
	return err
}

func (t *tx) rollback() {
	ctx, cancel := context.WithTimeout(context.Background(), writeTime)
	defer cancel()
	if err := t.w.s.session.rollback(ctx); err != nil {
		t.w.s.o.Logger.Warn("rolling back", "error", err)
	}
	t.w.tree.forget()
}

func (t *tx) exec(query string, args ...any) error {
	return t.w.s.session.exec(t.ctx, query, args...)
}

func (t *tx) row(query string, args ...any) scanner {
	return t.w.s.session.row(t.ctx, query, args...)
}
