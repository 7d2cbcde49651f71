package store

import (
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// written is what a batch wrote so far, as far as later changes of the same
// batch have to see it: what they go by was read before the first of them.
type written struct {
	blind    bool // something was written in another way: what is read, is read anew
	requests map[string]*writtenRequest
	pending  map[string]bool   // by id: pending in the database, for those that were read
	hashes   map[string]string // by key of tokens
}

// writtenRequest is a request as the batch wrote it last.
type writtenRequest struct {
	id, doc, binding, repository string
	created                      time.Time
	pending, counted             bool // now; in the database, where it is counted already
}

// wrote notes a request that is being written.
func (w *written) wrote(r gatekeeper.Request, doc string) {
	if w.requests == nil {
		w.requests = map[string]*writtenRequest{}
	}
	w.requests[r.ID] = &writtenRequest{
		id: r.ID, doc: doc, binding: r.Binding, repository: gatekeeper.RepositoryKey(r.Workload), created: r.CreatedAt,
		pending: r.State == gatekeeper.Pending, counted: w.pending[r.ID],
	}
}

// saw notes a request as the database has it, nil for none.
func (w *written) saw(r *gatekeeper.Request) {
	if r == nil || r.ID == "" {
		return
	}
	if w.pending == nil {
		w.pending = map[string]bool{}
	}
	w.pending[r.ID] = r.State == gatekeeper.Pending
}

// kept notes a hash that is being kept.
func (w *written) kept(key, hash string) {
	if w.hashes == nil {
		w.hashes = map[string]string{}
	}
	w.hashes[key] = hash
}

// document is a request of this batch.
func (w *written) document(id string) (doc string, ok bool) {
	r, ok := w.requests[id]
	if !ok || w.blind {
		return "", false
	}
	return r.doc, true
}

// complete makes a view of the database one of the transaction.
func (w *written) complete(key gatekeeper.OpenKey, v *gatekeeper.OpenView) (err error) {
	w.saw(v.Existing)
	w.saw(v.Held)
	if w.blind {
		return nil
	}
	if v.Existing, err = w.newest(key.Binding, v.Existing); err != nil {
		return err
	}
	if v.Held, err = w.newest(key.Deployment, v.Held); err != nil {
		return err
	}
	for _, r := range w.requests {
		if r.repository != key.Repository {
			continue
		}
		if r.pending {
			v.Pending++
		}
		if r.counted {
			v.Pending--
		}
	}
	return nil
}

// newest is the newest request with a binding, found in the database or
// written since.
func (w *written) newest(binding string, found *gatekeeper.Request) (*gatekeeper.Request, error) {
	var best *writtenRequest
	for _, r := range w.requests {
		if binding == "" || r.binding != binding || found != nil && r.id != found.ID && !r.newer(found.CreatedAt, found.ID) {
			continue
		}
		if best == nil || r.newer(best.created, best.id) {
			best = r
		}
	}
	if best == nil {
		return found, nil
	}
	r, err := parseRequest(best.doc)
	return &r, err
}

func (r *writtenRequest) newer(created time.Time, id string) bool {
	if r.created.Equal(created) {
		return r.id > id
	}
	return r.created.After(created)
}
