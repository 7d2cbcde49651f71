package github

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/google/go-github/v60/github"
)

// How a deployment was found, as the ledger names it.
const (
	viaWebhook = "github.deployment_protection_rule"
	viaSweep   = "github.sweep"
)

// Gate opens requests for what waits. gatekeeper.Gate implements it.
type Gate interface {
	OpenDeployment(ctx context.Context, ref gatekeeper.DeploymentRef) (r gatekeeper.Request, created bool, err error)
	Lookup(ctx context.Context, id string) (gatekeeper.Request, error)
	Withdraw(ctx context.Context, id, why string) (gatekeeper.Request, error)
}

// Memory is durable storage for small notes and for work, and finds requests.
// A note that was never set is nil without an error.
type Memory interface {
	Note(ctx context.Context, kind, key string) ([]byte, error)
	SetNote(ctx context.Context, kind, key string, value []byte) error
	Record(ctx context.Context, c gatekeeper.Change) error
	Get(ctx context.Context, id string) (gatekeeper.Request, error)
	gatekeeper.Finder
}

// ProtectionOptions are the parts of a [Protection]. All but the last four
// are needed.
type ProtectionOptions struct {
	Client    *Client
	Gate      Gate
	Memory    Memory
	PublicURL string // of the gatekeeper, for links to requests

	SweepEvery   time.Duration // 0: five minutes
	Repositories int           // that one sweep looks at; 0: 200
	Logger       *slog.Logger
	Clock        func() time.Time
}

// Protection is the gatekeeper as a deployment protection rule: what waits
// becomes a request, and the outcome goes back. It is safe for concurrent use.
type Protection struct{ o ProtectionOptions }

// NewProtection refuses to run with a part missing.
func NewProtection(o ProtectionOptions) (*Protection, error) {
	if o.Client == nil || o.Gate == nil || o.Memory == nil || o.PublicURL == "" {
		return nil, gatekeeper.Errorf(gatekeeper.CodeInternal, "the protection rule needs a Client, a Gate, a Memory and the gatekeeper's URL")
	}
	if o.SweepEvery <= 0 {
		o.SweepEvery = 5 * time.Minute
	}
	if o.Repositories <= 0 {
		o.Repositories = 200
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	o.PublicURL = strings.TrimRight(o.PublicURL, "/")
	return &Protection{o}, nil
}

// Handlers are the durable work of protection rules, by kind.
func (p *Protection) Handlers() map[string]gatekeeper.WorkHandler {
	return map[string]gatekeeper.WorkHandler{gatekeeper.WorkVerdict: p.verdict, WorkSweep: p.sweep}
}

// Subscription is what is done about the event deployment_protection_rule.
func (p *Protection) Subscription() Subscription {
	return Subscription{Actions: []string{"requested"}, Handle: p.requested}
}

// requested opens a request for what a webhook tells of.
func (p *Protection) requested(ctx context.Context, e Event) error {
	ref, err := waiting(e.Payload)
	if err != nil {
		p.o.Logger.WarnContext(ctx, "github: a protection rule's webhook does not say what waits; the sweep looks for it", "delivery", e.Delivery, "error", err)
		return p.SweepNow(ctx)
	}
	p.o.Client.installedOn(ref.Repository, e.Payload)
	// GitHub asks anew: what it was told before was about an earlier job.
	if err := p.again(ctx, ref); err != nil {
		return err
	}
	return p.open(ctx, ref)
}

// open has the gate open a request. That it was refused, or that nothing
// waits any more, is no failure of this work; that too much waits is.
func (p *Protection) open(ctx context.Context, ref gatekeeper.DeploymentRef) error {
	r, created, err := p.o.Gate.OpenDeployment(ctx, ref)
	switch gatekeeper.CodeOf(err) {
	case "":
		p.o.Logger.InfoContext(ctx, "github: a deployment waits", "repository", ref.Repository, "run", ref.RunID, "environment", ref.Environment,
			"request", r.ID, "state", r.State, "created", created, "via", ref.Via)
		return nil
	case gatekeeper.CodeNotFound, gatekeeper.CodeAccessDenied, gatekeeper.CodeInvalidRequest:
		p.o.Logger.WarnContext(ctx, "github: a deployment becomes no request", "repository", ref.Repository, "run", ref.RunID, "environment", ref.Environment, "error", err)
		return nil
	}
	return err
}

// callbackRun finds the run in deployment_callback_url, the one place of the
// webhook that names it. Nothing is sent there: only the number is read, and
// the run is looked up at the configured API (threats row 42).
var callbackRun = regexp.MustCompile(`/actions/runs/([1-9][0-9]{0,18})/deployment_protection_rule/?$`)

// fullName keeps a payload's names from becoming other paths of the API.
var fullName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]{0,38}(_[A-Za-z0-9]+)?/[A-Za-z0-9._-]{1,100}$`)

// waiting reads a deployment_protection_rule webhook. Its schema promises
// action, repository and sender only
// (https://github.com/octokit/webhooks/blob/main/payload-schemas/api.github.com/deployment_protection_rule/requested.schema.json).
func waiting(payload []byte) (gatekeeper.DeploymentRef, error) {
	var e struct {
		Environment string `json:"environment"`
		Ref         string `json:"ref"`
		Callback    string `json:"deployment_callback_url"`
		Deployment  struct {
			Ref         string `json:"ref"`
			Environment string `json:"environment"`
		} `json:"deployment"`
		Repository struct {
			ID            int64        `json:"id"`
			FullName      string       `json:"full_name"`
			DefaultBranch string       `json:"default_branch"`
			Owner         *github.User `json:"owner"`
		} `json:"repository"`
	}
	if err := json.Unmarshal(payload, &e); err != nil {
		return gatekeeper.DeploymentRef{}, bad("the payload is not shaped as GitHub documents it")
	}
	ref := gatekeeper.DeploymentRef{
		Repository: e.Repository.FullName, Environment: e.Environment, Via: viaWebhook,
		Told: gatekeeper.Told{DefaultBranch: e.Repository.DefaultBranch, Owner: account(e.Repository.Owner)},
	}
	if e.Repository.ID > 0 {
		ref.Told.RepositoryID = strconv.FormatInt(e.Repository.ID, 10)
	}
	if ref.Environment == "" {
		ref.Environment = e.Deployment.Environment
	}
	for _, told := range []string{e.Ref, e.Deployment.Ref} {
		if strings.HasPrefix(told, "refs/") && ref.Told.Ref == "" {
			ref.Told.Ref = told
		}
	}
	if u, err := url.Parse(e.Callback); err == nil {
		if found := callbackRun.FindStringSubmatch(u.Path); found != nil {
			ref.RunID = found[1]
		}
	}
	switch {
	case !fullName.MatchString(ref.Repository) || strings.Contains(ref.Repository, ".."):
		return ref, bad("the payload names no repository")
	case ref.Environment == "":
		return ref, bad("the payload names no environment")
	case ref.RunID == "":
		return ref, bad("the payload names no run")
	}
	return ref, nil
}
