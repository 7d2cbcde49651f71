package gatekeeper

import (
	"context"
	"encoding/json"
	"time"
)

// Verifier turns a raw token into a Workload, or a [CodeInvalidToken] error
// that says what is wrong. It is whole again at each call: nothing is
// remembered of an earlier token but the issuer's keys. audience is the one
// that the token has to be for; "" means the issuer's configured one.
type Verifier interface {
	Verify(ctx context.Context, raw, audience string) (Workload, error)
}

// Decider holds the rules in force. Decide is pure but for the swap of the
// rules: the same rules, workload, environment and time give the same answer.
// ctx is for who stands around a Decider, such as traces; it decides nothing.
type Decider interface {
	Decide(ctx context.Context, w Workload, environment string, now time.Time) Decision
}

// Store keeps requests, the ledger and the work to be done. Each method that
// changes something is one durable transaction: when it returns nil, a crash
// loses nothing of it; when it returns an error, nothing of it happened. Now
// is the database's own time, so that replicas agree (threats row 35).
type Store interface {
	// Open finds the newest request with that binding (nil when there is
	// none) and how many of the repository's requests are pending, and stores
	// what decide makes of them. Concurrent calls with one binding are
	// serialised: the later ones see the earlier one's request.
	Open(ctx context.Context, key OpenKey, decide func(OpenView) (Change, error)) (Request, error)
	// Update stores what change makes of the request, as a compare-and-swap:
	// change may run again on a newer request. An error from change aborts.
	Update(ctx context.Context, id string, change func(old Request, now time.Time) (Change, error)) (Request, error)
	// Record appends events that belong to no request, or enqueues work.
	Record(ctx context.Context, c Change) error
	// Get is the request, or a CodeNotFound error.
	Get(ctx context.Context, id string) (Request, error)
	// Older are the pending requests of the same repository, rule and
	// environment that were opened before r.
	Older(ctx context.Context, r Request) ([]Request, error)
	// UseToken binds (iss, jti) to the bytes of a token until it expires, and
	// refuses a second token that carries the same jti (threats row 17).
	UseToken(ctx context.Context, issuerURL string, t Token) error
	// Once records c unless something was recorded under the key before, in
	// one transaction; first tells which. Keys are kept for at least keep.
	Once(ctx context.Context, key string, keep time.Duration, c Change) (first bool, err error)
	// Watch gives a channel that receives after each change of the request.
	// It never blocks the writer: changes merge. stop releases it.
	Watch(id string) (changed <-chan struct{}, stop func())
}

// Finder lists requests: for people's inboxes and pages, never for decisions.
type Finder interface {
	// Find gives the requests that fit, newest first.
	Find(ctx context.Context, f Filter) ([]Request, error)
}

// Filter says which requests are meant; empty fields do not restrict.
type Filter struct {
	States     []State
	Repository string // see RepositoryKey
	// Environment is compared without regard to case.
	Environment string
	Rule        string
	Limit       int // 0: 100
}

// OpenKey says which requests matter when one is opened.
type OpenKey struct {
	Binding    string // see Bind
	Deployment string // see DeploymentKey; "": no deployment's request can matter
	Repository string // issuer and repository id: whose pending requests are counted
	Count      int    // how far at least they are counted; 0: all of them
}

// OpenView is what Open shows to its decision.
type OpenView struct {
	Existing *Request // the newest with the binding
	Held     *Request // the newest that was opened for the deployment
	Pending  int      // of the repository
	Now      time.Time
}

// Change is what one transaction writes: the request unless its ID is empty,
// the events into the ledger, the work it causes, and notes.
type Change struct {
	Request Request
	Events  []Event
	Work    []Work
	Notes   []Note
}

// Note is a small thing kept durably under its kind and key, beside requests:
// a reference to a message, a person's passkey. A nil Value removes it.
type Note struct {
	Kind, Key string
	Value     []byte
}

// Work is something to be done after the transaction that caused it, at least
// once, also over crashes. Work of one kind and key merges: the newer payload
// and the earlier time win, and a run under way is followed by another.
type Work struct {
	Kind    string
	Key     string
	Payload json.RawMessage // nil: the key says it all
	RunAt   time.Time       // zero: at once, or After
	After   time.Duration   // from now by the store's clock, whatever ours says
	Attempt int             // set for the handler: 1 on the first run, counted durably before it
}

// WorkHandler does one piece of work. nil: done. An *Error with RetryAfter is
// tried again then; any other error with growing delays. It runs again after
// a crash, so it has to be idempotent.
type WorkHandler func(ctx context.Context, w Work) error

// The kinds of work that the domain causes.
const (
	WorkMessage    = "slack.message"     // key: request id. Bring its Slack message up to date.
	WorkDigest     = "slack.digest"      // key: a channel, or DigestDefault. What was collected for it is due.
	WorkRemind     = "slack.remind"      // key: request id. Nobody decided for a while.
	WorkEscalate   = "slack.escalate"    // key: request id. Still nobody.
	WorkThread     = "slack.thread"      // key: request id. Tell what became of it where it was asked.
	WorkDirect     = "slack.direct"      // key: request id. Tell who asked how it ended.
	WorkBreakGlass = "slack.break_glass" // key: request id. Say aloud that it was approved in an emergency.
	WorkExpire     = "request.expire"    // key: request id. Its time to be decided, or redeemed, is over.
	WorkSettle     = "redemption.settle" // key: request id. An intent may have been left behind.
	WorkSupersede  = "request.supersede" // key: request id. Older pending ones of the same rule give way to it.
	WorkHomes      = "slack.homes"       // key: "all". Inboxes that people look at are to be brought up to date.
)

// Directory knows people as they are right now. Every failed look-up is an
// error, and an error never counts as a yes (threats row 23).
type Directory interface {
	// Standing says who the person is at this moment.
	Standing(ctx context.Context, p Person) (Standing, error)
	// Member says whether the person belongs to the approver entry now.
	Member(ctx context.Context, p Person, a Approver) (bool, error)
}

// Standing is what a live look at a person tells. Its zero value is nobody.
type Standing struct {
	Active  bool   // exists in our workspace, not deactivated
	Guest   bool   // restricted or single-channel guest
	Bot     bool   // a bot or an app
	Foreign bool   // of another workspace or organisation
	Name    string // for display
}

// Runs tells who caused a run, where the CI's forge can be asked. Errors are
// temporary; without Runs a re-run's initiator stays unknown.
type Runs interface {
	// Initiators are the people behind the workload's run attempt.
	Initiators(ctx context.Context, w Workload) ([]Account, error)
	// Authors are the accounts that wrote the commits being deployed.
	Authors(ctx context.Context, w Workload) ([]Account, error)
}

// Exchanger turns a grant into a credential at one kind of cloud. Errors are
// *Error with CodeExchangeFailed and the cloud's own error code in the
// description, or CodeUnavailable when nothing can have been issued.
type Exchanger interface {
	// Exchange asks the cloud. subjectToken is the CI's second token, "" where
	// the spec needs none. It retries only what may be retried, within ctx.
	Exchange(ctx context.Context, g Grant, subjectToken string) (Credential, error)
}

// Revoker is an Exchanger that knows how what it handed out is taken back.
// All of ours are; whether anything can be revoked is the cloud's to say.
type Revoker interface {
	// Revoke takes back what the redemption handed out for spec. It is
	// idempotent: what is revoked already, or over, is revoked. nil: the cloud
	// was asked and did so, or the Revocation says what people have to do.
	// Errors are temporary ([CodeUnavailable]) or the cloud's refusal
	// ([CodeExchangeFailed]).
	Revoke(ctx context.Context, spec CredentialSpec, d Redemption) (Revocation, error)
}

// Revocation is what became of a credential that was to be taken back. Its
// zero value is not revoked.
type Revocation struct {
	Revoked bool   // it opens nothing any more
	Detail  string // one sentence on what was done, or why it cannot be
	// Todo is what people can do where the cloud revokes no such credential,
	// ready to paste: a policy or a command. Empty where nothing is left to do.
	Todo string
}
