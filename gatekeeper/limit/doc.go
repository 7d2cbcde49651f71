// Package limit keeps whoever asks too much, or holds connections that it does
// not use, from starving the others: token buckets for each address, issuer and
// repository, and a fair share of the open connections.
//
// What a stranger does is counted for its address. A call whose token holds is
// counted for its repository and issuer instead, so that a thousand runners
// behind one address are a thousand runners.
package limit

import (
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// The limits' names, for metrics.
const (
	Address     = "address"
	Issuer      = "issuer"
	Repository  = "repository"
	Connections = "connections"
)

// Options of a Limiter. All but the last four are needed, and more than zero.
type Options struct {
	FailuresPerAddress int // refused tokens a second; twenty calls without a token count as one
	CallsPerIssuer     int // with a token that holds, a second
	CallsPerRepository int // the same

	Connections              int // open at once, in all; strangers have half of it at most
	ConnectionsPerAddress    int // that carry no call of which the token held
	ConnectionsPerRepository int // that carry one: a step that waits holds one
	Bodies                   int // bytes of bodies in hand at once, in all

	Proxies []netip.Prefix    // whose word on the client's address is taken
	Free    []string          // path prefixes that are not counted by calls: signed callbacks
	Limited func(name string) // told of each refusal, for metrics; nil: nobody
	Refuse  func(w http.ResponseWriter, r *http.Request, err error)
	Logger  *slog.Logger
	Now     func() time.Time // nil: time.Now
}

// burst is how many seconds' worth of calls may come at once: jobs of a matrix
// begin together, and a night's builds at the full hour.
const burst = 100

// What a call costs the address that it comes from.
const (
	callCost    = 1 // without a token that holds
	failureCost = 20
)

// Limiter holds the limits of one process. It is safe for concurrent use.
type Limiter struct {
	Options
	conns        *conns
	bodies       *bodies
	strangers    *buckets[netip.Addr]
	familiar     *buckets[uint64] // see known
	issuers      *buckets[string]
	repositories *buckets[string]
	known        *known
	warned       sync.Once
}

// New makes a Limiter.
func New(o Options) *Limiter {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Limited == nil {
		o.Limited = func(string) {}
	}
	return &Limiter{
		Options: o, conns: newConns(o), bodies: newBodies(o.Bodies), known: newKnown(),
		strangers:    newBuckets[netip.Addr](o.FailuresPerAddress * failureCost),
		familiar:     newBuckets[uint64](o.FailuresPerAddress * failureCost),
		issuers:      newBuckets[string](o.CallsPerIssuer),
		repositories: newBuckets[string](o.CallsPerRepository),
	}
}

// slowDown is a refusal. Retry-After has whole seconds, and rounded down it
// would send its reader away a second time.
func (l *Limiter) slowDown(name string, wait time.Duration, what string) error {
	l.Limited(name)
	wait = (wait + time.Second - 1).Truncate(time.Second)
	return &gatekeeper.Error{Code: gatekeeper.CodeSlowDown, RetryAfter: max(time.Second, wait), Description: what}
}
