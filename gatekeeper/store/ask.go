package store

import (
	"database/sql"
	"errors"
	"math"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// ask is what a change is decided by: one row, of a query that is known before
// its turn. A batch asks for all of its changes at once, so its time does not
// grow with the way to the database. What the batch itself writes meanwhile
// stands in written, which every answer is completed with.
type ask struct {
	query string
	args  []any
	scan  func(scanner) error
	err   error // of the query; sql.ErrNoRows when there is no such row
}

func asks(ops []*op) (all []*ask) {
	for _, o := range ops {
		if o.ask != nil && o.ctx.Err() == nil {
			all = append(all, o.ask)
		}
	}
	return all
}

// answered is the ask's answer as of the batch's beginning, or, when something
// was written that written does not know, as of now.
func (t *tx) answered(a *ask) error {
	if t.blind {
		return a.scan(t.row(a.query, a.args...))
	}
	return a.err
}

// document asks for one request.
type document struct {
	ask
	id, doc string
}

func newDocument(id string) *document {
	d := &document{id: id}
	d.ask = ask{query: `SELECT doc FROM requests WHERE id = ?`, args: []any{id}, scan: func(row scanner) error { return row.Scan(&d.doc) }}
	return d
}

// in is the request as it is in the transaction.
func (d *document) in(t *tx) (gatekeeper.Request, error) {
	if doc, ok := t.document(d.id); ok {
		return parseRequest(doc)
	}
	err := t.answered(&d.ask)
	r, err := readRequest(d.doc, err)
	t.saw(&r)
	return r, err
}

// view asks for all that an opening is decided by.
type view struct {
	ask
	key            gatekeeper.OpenKey
	existing, held sql.NullString
	pending        int
}

func newView(key gatekeeper.OpenKey) *view {
	const newest = `(SELECT doc FROM requests WHERE binding = ? ORDER BY created_at DESC, id DESC LIMIT 1)`
	count := math.MaxInt32
	if key.Count > 0 {
		count = min(count, key.Count+maxBatch) // what the batch itself ends or opens changes nothing then
	}
	v := &view{key: key}
	v.ask = ask{
		query: `SELECT ` + newest + `, ` + newest + `,
			(SELECT count(*) FROM (SELECT 1 FROM requests WHERE repository = ? AND state = 'pending' LIMIT ?) AS few)`,
		args: []any{key.Binding, key.Deployment, key.Repository, count},
		scan: func(row scanner) error { return row.Scan(&v.existing, &v.held, &v.pending) },
	}
	return v
}

// in is the view as it is in the transaction.
func (v *view) in(t *tx) (gatekeeper.OpenView, error) {
	seen := gatekeeper.OpenView{Now: t.now}
	if err := t.answered(&v.ask); err != nil {
		return seen, unavailable(err)
	}
	var err error
	if seen.Existing, err = parseFound(v.existing); err != nil {
		return seen, err
	}
	if seen.Held, err = parseFound(v.held); err != nil {
		return seen, err
	}
	seen.Pending = v.pending
	return seen, t.complete(v.key, &seen)
}

func parseFound(doc sql.NullString) (*gatekeeper.Request, error) {
	if !doc.Valid {
		return nil, nil
	}
	r, err := parseRequest(doc.String)
	return &r, err
}

// kept asks for the hash that is kept under a key.
type kept struct {
	ask
	key, hash string
}

func newKept(key string) *kept {
	k := &kept{key: key}
	k.ask = ask{query: `SELECT hash FROM tokens WHERE key = ?`, args: []any{key}, scan: func(row scanner) error { return row.Scan(&k.hash) }}
	return k
}

// in is the hash, "" where none is kept.
func (k *kept) in(t *tx) (string, error) {
	if hash, ok := t.hashes[k.key]; ok {
		return hash, nil
	}
	err := t.answered(&k.ask)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return k.hash, unavailable(err)
}
