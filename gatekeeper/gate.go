package gatekeeper

import (
	"context"
	"crypto/rand"
	"log/slog"
	"strings"
	"time"
)

// Ask is what a workload asks for.
type Ask struct {
	Environment string
	Credentials []string // names of the rule's credentials; empty: all
	Reason      string   // shown to approvers
}

// RedeemAsk is what a workload redeems.
type RedeemAsk struct {
	Name         string // of the credential
	SubjectToken string // the CI's token for the cloud, where the credential needs one
}

// Wait says how long to wait for a change of a request, and which version the
// caller has seen. The zero value does not wait.
type Wait struct {
	For  time.Duration
	Seen int64 // answer at once when the request is newer; 0: newer than at the call
}

// Options are the parts that a Gate runs. All but Runs, Finder, Glance and
// Logger are needed.
type Options struct {
	Verifier  Verifier
	Rules     Decider
	Store     Store
	Directory Directory
	Exchanger Exchanger
	// Deployments is who knows what waits at the forge; nil: nobody, and no
	// request is opened for what waits there.
	Deployments Deployments
	Runs        Runs // nil: nobody can be asked who re-ran a run
	// Finder and Glance are for inboxes, which decide nothing: Glance may be a
	// minute old. nil: no inbox, and the Directory itself.
	Finder Finder
	Glance Directory
	People People
	Logger *slog.Logger

	// Observe is told of what was recorded, for metrics and traces; nil: nobody.
	// It must not block.
	Observe func(ctx context.Context, r Request, events []Event)

	// Crowded is told of each request that is refused as its repository has too
	// many that wait for people, for metrics; nil: nobody.
	Crowded func()

	PendingPerRepository int           // most pending requests of one repository; 0: none may open
	ExchangeTimeout      time.Duration // most that one exchange takes
	// Sole says that no other process redeems from this store, so intents from
	// before Started were left behind by a crash.
	Sole    bool
	Started time.Time
	Now     func() time.Time // the clock for rules and freezes; nil: time.Now
}

// Gate is the use cases: what workloads, people and the clock do to requests.
// Each takes the raw token or the person, so no caller can make up an
// identity. A Gate is safe for concurrent use.
type Gate struct{ Options }

// NewGate refuses to run with a part missing: a gate without one would have
// to guess.
func NewGate(o Options) (*Gate, error) {
	for name, missing := range map[string]bool{
		"a Verifier": o.Verifier == nil, "Rules": o.Rules == nil, "a Store": o.Store == nil,
		"a Directory": o.Directory == nil, "an Exchanger": o.Exchanger == nil,
		"an ExchangeTimeout": o.ExchangeTimeout <= 0,
	} {
		if missing {
			return nil, Errorf(CodeInternal, "the gate needs %s", name)
		}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Crowded == nil {
		o.Crowded = func() {}
	}
	return &Gate{o}, nil
}

// Lookup is a request for our own doors, without asking whose it is.
func (g *Gate) Lookup(ctx context.Context, id string) (Request, error) {
	return g.Store.Get(ctx, id)
}

// newID is an opaque identifier of 130 random bits: it cannot be guessed, and
// it tells nothing (threats row 26).
func newID(prefix string) string { return prefix + strings.ToLower(rand.Text()) }

// stamped gives events their ids.
func stamped(events []Event) []Event {
	for i := range events {
		events[i].ID = newID("evt_")
	}
	return events
}

// told says what was recorded: to the log with the request's id, and to
// whoever observes. r is the zero Request where there is none.
func (g *Gate) told(ctx context.Context, r Request, events []Event) {
	if g.Observe != nil && len(events) > 0 {
		g.Observe(ctx, r, events)
	}
	for _, e := range events {
		g.Logger.InfoContext(ctx, string(e.Type), "request", e.Request, "state", e.State, "actor", e.Actor.ID, "event", e.ID)
	}
}

// messageWork brings people's view of the request up to date.
func messageWork(id string) Work { return Work{Kind: WorkMessage, Key: id} }

func expireWork(id string, at time.Time) Work { return Work{Kind: WorkExpire, Key: id, RunAt: at} }
