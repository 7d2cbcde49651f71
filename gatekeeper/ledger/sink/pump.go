package sink

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/ledger"
)

// A page bounds what a sink holds in memory, and what is sent again when one
// record of it was not taken.
const (
	pageEvents = 200
	pageBytes  = 512 << 10
)

const (
	lookAgain = 15 * time.Second // without news, in case one was lost
	lastTry   = 3 * time.Second  // what a stopping service gives a sink
	maxWait   = time.Minute
)

// Run delivers until ctx ends, and then once more what is there already.
func (s *Sink) Run(ctx context.Context) {
	grown, stop := s.news()
	defer stop()
	for failures := 0; ctx.Err() == nil; {
		more, err := s.Step(ctx)
		switch {
		case err != nil && ctx.Err() == nil:
			failures++
			s.failed(ctx, failures, err)
			s.sleep(ctx, nil, wait(failures, err))
			continue
		case err == nil && failures > 0:
			s.o.Logger.InfoContext(ctx, "a sink takes events again", "sink", s.o.Name)
		}
		failures = 0
		if !more {
			s.sleep(ctx, grown, lookAgain)
		}
	}
	late, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastTry)
	defer cancel()
	for more := true; more; {
		var err error
		if more, err = s.Step(late); err != nil {
			s.o.Logger.WarnContext(ctx, "a sink did not take the last events; they are sent at the next start", "sink", s.o.Name, "error", err)
			return
		}
	}
}

func (s *Sink) news() (<-chan struct{}, func()) {
	if s.o.Grown == nil {
		return nil, func() {}
	}
	return s.o.Grown()
}

// failed tells at the first failure and then ever more rarely: a sink that is
// down for a weekend fills no log.
func (s *Sink) failed(ctx context.Context, failures int, err error) {
	s.o.Failed(err)
	if failures&(failures-1) == 0 {
		s.o.Logger.WarnContext(ctx, "a sink does not take events; they wait in the ledger", "sink", s.o.Name, "failures", failures, "error", err)
	}
}

func (s *Sink) sleep(ctx context.Context, grown <-chan struct{}, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-grown:
	case <-timer.C:
	}
}

// wait is what the receiver asks for, else 1 s, 2 s, 4 s … 1 min with jitter.
func wait(failures int, err error) time.Duration {
	var coded *gatekeeper.Error
	if errors.As(err, &coded) && coded.RetryAfter > 0 {
		return min(coded.RetryAfter, 10*maxWait)
	}
	d := min(time.Second<<min(failures-1, 10), maxWait)
	return d/2 + rand.N(d/2+1) //nolint:gosec // jitter is no secret
}

// Step delivers the next page and tells whether there may be more. The cursor
// moves only after the other side has the page.
func (s *Sink) Step(ctx context.Context) (more bool, err error) {
	cursor, err := ReadCursor(ctx, s.o.Memory, s.o.Name)
	if err != nil {
		return false, err
	}
	p, err := s.page(ctx, cursor)
	if err != nil || p.next == cursor {
		return false, err
	}
	if len(p.batch) > 0 {
		if err := s.o.Out.Send(ctx, p.batch); err != nil {
			return false, err
		}
	}
	return p.full, s.keep(ctx, p.next)
}

// page is what goes out together.
type page struct {
	batch []ledger.Record
	next  Cursor
	full  bool // there may be more behind it
}

var errFull = errors.New("sink: the page is full")

func (s *Sink) page(ctx context.Context, from Cursor) (page, error) {
	p := page{next: from}
	var last time.Time
	read, size := 0, 0
	err := s.o.Source.Page(ctx, from.Next, pageEvents, func(l ledger.Leaf) error {
		if l.Index != p.next.Next {
			return gatekeeper.Errorf(gatekeeper.CodeInternal, "event %d is missing in the ledger; run `gatekeeper audit verify`", p.next.Next)
		}
		if size += len(l.Body); read > 0 && size > pageBytes {
			return errFull
		}
		read, last = read+1, l.Time
		p.next.Next = l.Index + 1
		return s.put(&p, l)
	})
	if err != nil && !errors.Is(err, errFull) {
		return page{}, err
	}
	p.full = read == pageEvents || errors.Is(err, errFull)
	return p, s.checkpoint(ctx, &p, last)
}

func (s *Sink) put(p *page, l ledger.Leaf) error {
	if !wanted(s.o.Events, l.Type) {
		return nil
	}
	r, err := s.o.Format.Event(l)
	p.batch = append(p.batch, r)
	return err
}

// checkpoint puts the newest checkpoint behind the events that it covers,
// whatever the filter.
func (s *Sink) checkpoint(ctx context.Context, p *page, at time.Time) error {
	note, err := s.o.Source.CheckpointUpTo(ctx, p.next.Next)
	if err != nil || note == nil || at.IsZero() {
		return err
	}
	r, err := s.o.Format.Checkpoint(note, at)
	if err != nil {
		return err
	}
	if size := r.Index + 1; size > p.next.Checkpoint {
		p.batch, p.next.Checkpoint = append(p.batch, r), size
	}
	return nil
}

func wanted(patterns []string, kind string) bool {
	for _, p := range patterns {
		if start, any := strings.CutSuffix(p, "*"); p == kind || any && strings.HasPrefix(kind, start) {
			return true
		}
	}
	return len(patterns) == 0
}
