package github

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"log/slog"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

const (
	// WorkContext gathers what is being deployed. key: request id.
	WorkContext = "github.context"
	noteContext = "github.context"

	contextTime = 20 * time.Second
	// contextPatience is how long what is missing is asked for again; after
	// that people see what there is.
	contextPatience = 10 * time.Minute
)

// Enrich gathers contexts beside the way of a request: its message is posted
// without, and brought up to date when GitHub has answered.
type Enrich struct {
	Client *Client
	Memory Memory
	Logger *slog.Logger
	Clock  func() time.Time
}

// gathered is a context as it is kept: gathered once, shown at each update.
type gathered struct {
	Context Context `json:"context"`
}

// Known is the context where it is gathered already. Otherwise it has it
// gathered, if the request is GitHub's and still to be decided; it asks
// GitHub nothing itself.
func (e Enrich) Known(ctx context.Context, r gatekeeper.Request) (known Context, ok bool, err error) {
	body, err := e.Memory.Note(ctx, noteContext, r.ID)
	if err != nil {
		return known, false, err
	}
	if body != nil {
		var g gathered
		err := json.Unmarshal(body, &g)
		return g.Context, err == nil, err
	}
	if r.State != gatekeeper.Pending || !e.Client.knows(r.Workload) {
		return known, false, nil
	}
	return known, false, e.Memory.Record(ctx, gatekeeper.Change{Work: []gatekeeper.Work{{Kind: WorkContext, Key: r.ID}}})
}

// Handlers are the durable work of contexts, by kind.
func (e Enrich) Handlers() map[string]gatekeeper.WorkHandler {
	return map[string]gatekeeper.WorkHandler{WorkContext: e.gather}
}

// gather keeps what GitHub tells and has the message brought up to date, in one
// transaction. What is missing is asked for again while it is of use.
func (e Enrich) gather(ctx context.Context, w gatekeeper.Work) error {
	r, err := e.Memory.Get(ctx, w.Key)
	if gatekeeper.CodeOf(err) == gatekeeper.CodeNotFound {
		return nil
	}
	if err != nil {
		return err
	}
	before, err := e.lastApproved(ctx, r)
	if err != nil {
		return err
	}
	asking, cancel := context.WithTimeout(ctx, contextTime)
	defer cancel()
	known, failed := e.Client.Context(asking, r.Workload, before)
	if failed != nil { // what an earlier try found is not forgotten
		earlier, _, err := e.Known(ctx, r)
		if err != nil {
			return err
		}
		known = known.or(earlier)
	}
	if err := e.keep(ctx, r.ID, known); err != nil {
		return err
	}
	if failed != nil && r.State == gatekeeper.Pending && e.Clock().Sub(r.CreatedAt) < contextPatience {
		return failed
	}
	if failed != nil {
		e.Logger.WarnContext(ctx, "github: people see less of what is deployed", "request", r.ID, "error", failed)
	}
	return nil
}

// keep notes what is known, where it is news, and has the message show it.
func (e Enrich) keep(ctx context.Context, id string, known Context) error {
	body, err := json.Marshal(gathered{known})
	if err != nil {
		return err
	}
	had, err := e.Memory.Note(ctx, noteContext, id)
	if err != nil || bytes.Equal(had, body) {
		return err
	}
	return e.Memory.Record(ctx, gatekeeper.Change{
		Notes: []gatekeeper.Note{{Kind: noteContext, Key: id, Value: body}},
		Work:  []gatekeeper.Work{{Kind: gatekeeper.WorkMessage, Key: id}},
	})
}

// lastApproved is the commit of the last request for the same environment of
// the repository that people, or its rule, approved.
func (e Enrich) lastApproved(ctx context.Context, r gatekeeper.Request) (string, error) {
	found, err := e.Memory.Find(ctx, gatekeeper.Filter{
		States: []gatekeeper.State{gatekeeper.Approved}, Repository: gatekeeper.RepositoryKey(r.Workload), Environment: r.Environment, Limit: 100,
	})
	for _, f := range found {
		if f.ID != r.ID && f.CreatedAt.Before(r.CreatedAt) && f.Workload.SHA != "" {
			return f.Workload.SHA, err
		}
	}
	return "", err
}

// knows says whether the workload runs on the configured GitHub.
func (c *Client) knows(w gatekeeper.Workload) bool {
	return w.IssuerType == "github" && (c.o.Issuer.URL == "" || w.IssuerURL == c.o.Issuer.URL)
}

// or fills what is missing in c from an earlier look.
func (c Context) or(earlier Context) Context {
	c.Title, c.ReRunBy = cmp.Or(c.Title, earlier.Title), cmp.Or(c.ReRunBy, earlier.ReRunBy)
	c.Pull, c.Checks, c.Since = cmp.Or(c.Pull, earlier.Pull), cmp.Or(c.Checks, earlier.Checks), cmp.Or(c.Since, earlier.Since)
	if c.DefaultBranch == "" {
		c.DefaultBranch, c.OnDefault = earlier.DefaultBranch, earlier.OnDefault
	}
	if len(c.Authors) == 0 {
		c.Authors = earlier.Authors
	}
	return c
}
