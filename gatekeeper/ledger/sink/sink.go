// Package sink pushes the ledger's events out: to files, standard output,
// syslog and webhooks. Each sink has a durable cursor of its own and reads
// the ledger from there, so a sink that is down holds up no decision and no
// other sink, loses nothing, and catches up when it is back. Events come at
// least once, in the ledger's order, with ids that never change; checkpoints
// come with them, so that a history which is rewritten later is found out.
package sink

import (
	"context"
	"encoding/json"
	"log/slog"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/ledger"
)

// Out takes records. When it returns nil, the other side has all of them for
// good; when it returns an error, all of them are sent again.
type Out interface {
	Send(ctx context.Context, batch []ledger.Record) error
}

// Source is the ledger that is read.
type Source interface {
	// Page visits at most n events, beginning at index from.
	Page(ctx context.Context, from int64, n int, visit func(ledger.Leaf) error) error
	// Size is how many events there are.
	Size(ctx context.Context) (int64, error)
	// CheckpointUpTo is the last checkpoint of at most size events, nil when
	// there is none.
	CheckpointUpTo(ctx context.Context, size int64) ([]byte, error)
}

// Memory keeps cursors durably.
type Memory interface {
	Note(ctx context.Context, kind, key string) ([]byte, error)
	SetNote(ctx context.Context, kind, key string, value []byte) error
}

// Options of a sink. All but Events, Grown, Logger and Failed are needed.
type Options struct {
	Name   string // what its cursor is kept under
	Out    Out
	Format ledger.Format
	Events []string // types that go out, a final * stands for any end; none: all
	Source Source
	Memory Memory
	// Grown gives a channel that receives when the ledger grew, and a way to
	// let it go; nil: the sink looks by itself now and then.
	Grown  func() (<-chan struct{}, func())
	Logger *slog.Logger
	Failed func(error) // told of each try that failed, for metrics
}

// Sink is one receiver of the ledger's events.
type Sink struct{ o Options }

// New makes a sink; Run makes it work.
func New(o Options) *Sink {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Failed == nil {
		o.Failed = func(error) {}
	}
	return &Sink{o}
}

// Name is the sink's name.
func (s *Sink) Name() string { return s.o.Name }

// noteKind is the kind of note that cursors are.
const noteKind = "audit.sink"

// Cursor says how far a sink came.
type Cursor struct {
	Next       int64 `json:"next"`       // the first event that was not delivered yet
	Checkpoint int64 `json:"checkpoint"` // the size of the last checkpoint delivered
}

// ReadCursor is the cursor of the sink of that name; the zero one is at the
// ledger's beginning.
func ReadCursor(ctx context.Context, m Memory, name string) (Cursor, error) {
	var c Cursor
	value, err := m.Note(ctx, noteKind, name)
	if err != nil || value == nil {
		return c, err
	}
	if err := json.Unmarshal(value, &c); err != nil || c.Next < 0 {
		return c, gatekeeper.Wrap(err, gatekeeper.CodeInternal, "the cursor of sink %s cannot be read", name)
	}
	return c, nil
}

func (s *Sink) keep(ctx context.Context, c Cursor) error {
	value, err := json.Marshal(c)
	if err != nil {
		return err
	}
	return s.o.Memory.SetNote(ctx, noteKind, s.o.Name, value)
}

// Lag is how far the sink is behind.
type Lag struct {
	Events int64
	Age    time.Duration // of the oldest event that waits
}

// Lag looks how far the sink is behind at now.
func (s *Sink) Lag(ctx context.Context, now time.Time) (Lag, error) {
	c, err := ReadCursor(ctx, s.o.Memory, s.o.Name)
	if err != nil {
		return Lag{}, err
	}
	size, err := s.o.Source.Size(ctx)
	if err != nil || size <= c.Next {
		return Lag{}, err
	}
	lag := Lag{Events: size - c.Next}
	err = s.o.Source.Page(ctx, c.Next, 1, func(l ledger.Leaf) error {
		lag.Age = max(0, now.Sub(l.Time))
		return nil
	})
	return lag, err
}
