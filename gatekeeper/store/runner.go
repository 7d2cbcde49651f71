package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// RunnerOptions say who does which work. Handlers is needed.
type RunnerOptions struct {
	Handlers    map[string]gatekeeper.WorkHandler // by kind
	Concurrency int                               // 0: 16
	Backoff     time.Duration                     // before the second try of what failed; 0: 1 s
	Logger      *slog.Logger
}

// Runner does the work that transactions caused: at least once, each kind and
// key one at a time, failures again with growing delays.
type Runner struct {
	s    *Store
	o    RunnerOptions
	free chan struct{}
	wg   sync.WaitGroup
}

// NewRunner makes a runner for the store's work.
func NewRunner(s *Store, o RunnerOptions) *Runner {
	if o.Concurrency <= 0 {
		o.Concurrency = 16
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Backoff <= 0 {
		o.Backoff = time.Second
	}
	return &Runner{s: s, o: o, free: make(chan struct{}, o.Concurrency)}
}

// maxSleep is how long the runner trusts the database's clock: it may jump.
const maxSleep = 10 * time.Second

// Run works until ctx ends, then finishes what is in hand.
func (r *Runner) Run(ctx context.Context) {
	defer r.wg.Wait()
	for ctx.Err() == nil {
		next, at, took, err := r.step(ctx)
		if took > 0 && err == nil {
			continue
		}
		r.sleep(ctx, next, at, err)
	}
}

// Step begins the work that is due, as far as hands are free, and tells when
// the next is.
func (r *Runner) Step(ctx context.Context) (next time.Time, took int, err error) {
	next, _, took, err = r.step(ctx)
	return next, took, err
}

// step also tells what the time is, by the clock that next goes by.
func (r *Runner) step(ctx context.Context) (next, at time.Time, took int, err error) {
	leases, next, at, err := r.s.claim(ctx, cap(r.free)-len(r.free))
	if err != nil {
		return next, at, 0, err
	}
	for _, l := range leases {
		r.free <- struct{}{}
		r.wg.Go(func() {
			r.do(ctx, l)
			<-r.free
			r.s.wakeUp()
		})
	}
	return next, at, len(leases), nil
}

// Wait waits until everything begun is done.
func (r *Runner) Wait() { r.wg.Wait() }

func (r *Runner) sleep(ctx context.Context, next, at time.Time, err error) {
	d := maxSleep
	if !next.IsZero() {
		d = min(d, max(next.Sub(at), time.Millisecond))
	}
	if err != nil {
		d = time.Second
	}
	if len(r.free) == cap(r.free) {
		d = maxSleep // a hand that gets free wakes us
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-r.s.wake:
	case <-timer.C:
	}
}

// do runs one piece to its end, also while the runner is being stopped: the
// handlers bound their own time.
func (r *Runner) do(ctx context.Context, l lease) {
	ctx = context.WithoutCancel(ctx)
	stop := r.alive(ctx, l)
	err := r.handle(ctx, l.Work)
	stop()
	if err == nil {
		err = r.s.finish(ctx, l)
	} else {
		wait := r.delay(l.Attempt, err)
		r.o.Logger.WarnContext(ctx, "work failed and will be tried again", "kind", l.Kind, "key", l.Key, "attempt", l.Attempt, "in", wait.Round(time.Millisecond), "error", err)
		err = r.s.retry(ctx, l, wait, err.Error())
	}
	if err != nil { // the lease stays; the next start takes it over
		r.o.Logger.ErrorContext(ctx, "the end of work cannot be recorded", "kind", l.Kind, "key", l.Key, "error", err)
	}
}

// alive renews the lease while its work takes long, so that no other replica
// takes it for left behind.
func (r *Runner) alive(ctx context.Context, l lease) (stop func()) {
	ctx, stop = context.WithCancel(ctx)
	go func() {
		tick := time.NewTicker(leaseTime / 3)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				if err := r.s.keep(ctx, l); err != nil && ctx.Err() == nil {
					r.o.Logger.WarnContext(ctx, "a lease on work cannot be renewed", "kind", l.Kind, "key", l.Key, "error", err)
				}
			}
		}
	}()
	return stop
}

func (r *Runner) handle(ctx context.Context, w gatekeeper.Work) (err error) {
	handler, ok := r.o.Handlers[w.Kind]
	if !ok {
		return fmt.Errorf("store: nobody does work of kind %s", w.Kind)
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("store: work of kind %s panicked: %v\n%s", w.Kind, p, debug.Stack())
		}
	}()
	return handler(ctx, w)
}

// delay is what the error asks for, else 1 s, 2 s, 4 s … 5 min, with jitter
// so that what failed together does not come back together.
func (r *Runner) delay(attempt int, err error) time.Duration {
	var coded *gatekeeper.Error
	if errors.As(err, &coded) && coded.RetryAfter > 0 {
		return coded.RetryAfter
	}
	d := min(r.o.Backoff<<min(attempt-1, 10), 5*time.Minute)
	return d/2 + rand.N(d/2+1) //nolint:gosec // jitter is no secret
}
