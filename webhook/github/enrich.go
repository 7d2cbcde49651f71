package github

import (
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

// gather keeps the context and has the message brought up to date, in one
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
	if failed != nil && r.State == gatekeeper.Pending && e.Clock().Sub(r.CreatedAt) < contextPatience {
		return failed
	}
	if failed != nil {
		e.Logger.WarnContext(ctx, "github: people see less of what is deployed", "request", r.ID, "error", failed)
	}
	body, err := json.Marshal(gathered{known})
	if err != nil {
		return err
	}
	return e.Memory.Record(ctx, gatekeeper.Change{
		Notes: []gatekeeper.Note{{Kind: noteContext, Key: r.ID, Value: body}},
		Work:  []gatekeeper.Work{{Kind: gatekeeper.WorkMessage, Key: r.ID}},
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
