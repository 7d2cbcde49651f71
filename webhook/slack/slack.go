package slack

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	slackgo "github.com/slack-go/slack"
)

// The kinds of work that this package adds to gatekeeper.WorkMessage.
const (
	WorkClick = "slack.click" // key: see click.key. A recorded click waits to be counted.
	WorkReply = "slack.reply" // key: as the click's. A private answer waits to be told.
	WorkHome  = "slack.home"  // key: a user. Their home tab is to be brought up to date.
)

// Gate counts votes. gatekeeper.Gate implements it: a vote that does not
// count comes back as a CodeVoteRefused error whose description is the answer
// to the person, and is in the ledger already.
type Gate interface {
	Vote(ctx context.Context, id string, v gatekeeper.Vote) (gatekeeper.Request, error)
	Lookup(ctx context.Context, id string) (gatekeeper.Request, error)
	// Inbox and Sight are for showing; see gatekeeper.Gate.
	Inbox(ctx context.Context, p gatekeeper.Person) (gatekeeper.Inbox, error)
	Sight(ctx context.Context, p gatekeeper.Person, r gatekeeper.Request) (gatekeeper.InboxItem, error)
}

// Memory is durable storage for small notes and for work. A note that was
// never set is nil without an error.
type Memory interface {
	Note(ctx context.Context, kind, key string) ([]byte, error)
	SetNote(ctx context.Context, kind, key string, value []byte) error
	Notes(ctx context.Context, kind string, limit int) (map[string][]byte, error)
	DropNote(ctx context.Context, kind, key string) error
	Record(ctx context.Context, c gatekeeper.Change) error
}

// Options configure a Slack. APIURL, BotToken, Gate, Memory and PublicURL are
// needed, and a way in: SigningSecret, AppToken or both.
type Options struct {
	APIURL         string // https://slack.com/api/; GovSlack and tests set another
	BotToken       string // xoxb-…
	SigningSecret  string // of signed HTTP callbacks; empty: none is taken
	AppToken       string // xapp-…, for Socket Mode; empty: no connection is made
	Team           string // T…, or E… for an organisation; empty: the bot token's own team
	AppID          string // A…; empty: not compared
	DefaultChannel string // for rules that name none
	PublicURL      string // of the gatekeeper, for the Details link

	Gate   Gate
	Memory Memory
	Finder gatekeeper.Finder // lists what waits; digests need it
	People gatekeeper.People // to name who started a run
	// Context tells what is being deployed beyond the token's claims. It is
	// optional, and a message goes out without it when it fails.
	Context func(context.Context, gatekeeper.Request) (Context, error)

	// StepUpURL is where a person gives the proof that a request's rule wants
	// beyond the click; nil or "": nowhere, and no such approval counts.
	StepUpURL func(request string) string
	// Count counts failed calls by method and by Slack's error code, of which
	// there is a bounded number; nil: nobody counts.
	Count func(method, code string)

	HTTPClient *http.Client      // nil: one with timeouts
	Transport  http.RoundTripper // of calls where HTTPClient has none; nil: the default one
	Logger     *slog.Logger      // nil: silent
	Clock      func() time.Time  // nil: time.Now
}

// Slack is the gatekeeper's presence in one workspace. It is safe for
// concurrent use.
type Slack struct {
	Options
	api  *slackgo.Client
	who  *identity
	pace *pace

	health *health
	names  *nameBook
	runs   sync.Mutex // held while a run's first request is found out

	background sync.WaitGroup
	room       chan struct{} // bounds what runs behind acknowledgements
	door       chan struct{} // bounds what is taken in at once
	sockets    sockets
	offers     []byte // key of the seals on buttons outside of a request's message
}

// roomBehind is how many modals may be opening at once; more answer that
// Slack should try again.
const roomBehind = 64

// New refuses options with which a forged click could count or a message
// could go nowhere. It asks Slack nothing: the service starts without Slack.
func New(o Options) (*Slack, error) {
	o, err := o.checked()
	if err != nil {
		return nil, err
	}
	for name, missing := range map[string]bool{
		"a way in: a signing secret or an app token": o.SigningSecret == "" && o.AppToken == "", "a Gate": o.Gate == nil, "a Memory": o.Memory == nil, "the public URL": o.PublicURL == "",
	} {
		if missing {
			return nil, gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, "slack needs %s", name)
		}
	}
	o.PublicURL = strings.TrimRight(o.PublicURL, "/")
	key, err := offerKey(o.BotToken)
	if err != nil {
		return nil, err
	}
	api := newClient(o)
	return &Slack{
		Options: o, api: api, who: &identity{api: api, configured: o.Team},
		health: &health{clock: o.Clock, count: o.Count, faults: map[string]Fault{}},
		names:  &nameBook{known: map[gatekeeper.Approver]string{}, again: map[gatekeeper.Approver]time.Time{}},
		pace:   newPace(o.Clock), room: make(chan struct{}, roomBehind), door: make(chan struct{}, roomAtDoor), offers: key,
	}, nil
}

// checked are the options that every part needs, with their defaults.
func (o Options) checked() (Options, error) {
	if o.BotToken == "" {
		return o, gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, "slack needs a bot token (xoxb-…)")
	}
	if o.APIURL == "" {
		o.APIURL = slackgo.APIURL
	}
	if !safeURL(o.APIURL) {
		return o, gatekeeper.Errorf(gatekeeper.CodeInvalidRequest,
			"slack's api_url has to be https (http on loopback only), for example %s", slackgo.APIURL)
	}
	o.APIURL = strings.TrimRight(o.APIURL, "/") + "/"
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	return o, nil
}

// Handlers are the pieces of durable work that this package does, by kind.
func (s *Slack) Handlers() map[string]gatekeeper.WorkHandler {
	return map[string]gatekeeper.WorkHandler{
		gatekeeper.WorkMessage:    s.deliver,
		gatekeeper.WorkDigest:     s.sendDigest,
		WorkDigestMessage:         s.updateDigest,
		gatekeeper.WorkRemind:     s.remind,
		gatekeeper.WorkEscalate:   s.escalate,
		gatekeeper.WorkThread:     s.thread,
		gatekeeper.WorkDirect:     s.direct,
		gatekeeper.WorkBreakGlass: s.sayAloud,
		WorkClick:                 s.process,
		WorkReply:                 s.reply,
		WorkHome:                  s.publishHome,
		gatekeeper.WorkHomes:      s.refreshHomes,
	}
}

// Drain waits for what runs behind acknowledged clicks, at most until ctx
// ends.
func (s *Slack) Drain(ctx context.Context) error {
	done := make(chan struct{})
	go func() { s.background.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// behind runs f after the acknowledgement, without the caller's cancellation
// but within limit. It says no when too much is under way.
func (s *Slack) behind(ctx context.Context, limit time.Duration, f func(context.Context)) bool {
	select {
	case s.room <- struct{}{}:
	default:
		return false
	}
	s.background.Go(func() {
		defer func() { <-s.room }()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
		defer cancel()
		f(ctx)
	})
	return true
}
