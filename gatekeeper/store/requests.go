package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// Open implements gatekeeper.Store.
func (s *Store) Open(ctx context.Context, key gatekeeper.OpenKey, decide func(gatekeeper.OpenView) (gatekeeper.Change, error)) (gatekeeper.Request, error) {
	var stored gatekeeper.Request
	view := newView(key)
	err := s.doAsking(ctx, &view.ask, func(t *tx) (gatekeeper.Change, error) {
		seen, err := view.in(t)
		if err != nil {
			return gatekeeper.Change{}, err
		}
		change, err := decide(seen)
		if change.Request.ID != "" {
			change.Request.Version++ // of an older one that now serves this asking as well
		}
		stored = change.Request
		return change, err
	})
	return stored, err
}

// Update implements gatekeeper.Store. One writer makes the compare-and-swap:
// nothing can come between reading and writing.
func (s *Store) Update(ctx context.Context, id string, step func(gatekeeper.Request, time.Time) (gatekeeper.Change, error)) (gatekeeper.Request, error) {
	var stored gatekeeper.Request
	one := newDocument(id)
	err := s.doAsking(ctx, &one.ask, func(t *tx) (gatekeeper.Change, error) {
		old, err := one.in(t)
		if err != nil {
			return gatekeeper.Change{}, err
		}
		stored = old
		change, err := step(old, t.now)
		if err == nil && change.Request.ID != "" {
			change.Request.Version = old.Version + 1
			stored = change.Request
		}
		return change, err
	})
	return stored, err
}

// Record implements gatekeeper.Store.
func (s *Store) Record(ctx context.Context, c gatekeeper.Change) error {
	if c.Request.ID != "" {
		return gatekeeper.Errorf(gatekeeper.CodeInternal, "a request is changed by Open and Update, which look at it first")
	}
	return s.do(ctx, func(*tx) (gatekeeper.Change, error) { return c, nil })
}

// Get implements gatekeeper.Store.
func (s *Store) Get(ctx context.Context, id string) (gatekeeper.Request, error) {
	return scanRequest(s.read.QueryRowContext(ctx, `SELECT doc FROM requests WHERE id = ?`, id))
}

// Filter says which requests Find gives.
type Filter = gatekeeper.Filter

// Find implements gatekeeper.Finder.
func (s *Store) Find(ctx context.Context, f Filter) ([]gatekeeper.Request, error) {
	where, args := []string{"1 = 1"}, []any{}
	if len(f.States) > 0 {
		where = append(where, "state IN (?"+strings.Repeat(", ?", len(f.States)-1)+")")
		for _, state := range f.States {
			args = append(args, string(state))
		}
	}
	for column, value := range map[string]string{"repository": f.Repository, "rule": f.Rule, "environment": gatekeeper.FoldEnvironment(f.Environment)} {
		if value != "" {
			where, args = append(where, column+" = ?"), append(args, value)
		}
	}
	if f.Limit == 0 {
		f.Limit = 100
	}
	rows, err := s.read.QueryContext(ctx, `SELECT doc FROM requests WHERE `+strings.Join(where, " AND ")+ //nolint:gosec // columns are ours, values are bound
		` ORDER BY created_at DESC, id DESC LIMIT ?`, append(args, f.Limit)...)
	if err != nil {
		return nil, unavailable(err)
	}
	defer rows.Close()
	var found []gatekeeper.Request
	for rows.Next() {
		r, err := scanRequest(rows)
		if err != nil {
			return nil, err
		}
		found = append(found, r)
	}
	return found, unavailable(rows.Err())
}

// Older implements gatekeeper.Store.
func (s *Store) Older(ctx context.Context, r gatekeeper.Request) ([]gatekeeper.Request, error) {
	found, err := s.Find(ctx, Filter{States: []gatekeeper.State{gatekeeper.Pending}, Repository: gatekeeper.RepositoryKey(r.Workload), Rule: r.Rule.Name, Limit: 1000})
	return slices.DeleteFunc(found, func(f gatekeeper.Request) bool {
		return f.ID == r.ID || !f.CreatedAt.Before(r.CreatedAt) ||
			gatekeeper.FoldEnvironment(f.Environment) != gatekeeper.FoldEnvironment(r.Environment)
	}), err
}

// put writes the request's document and the columns that it is found by.
func (t *tx) put(r gatekeeper.Request) error {
	doc, err := json.Marshal(r)
	if err != nil {
		return err
	}
	t.changed = append(t.changed, r.ID)
	t.wrote(r, string(doc))
	return t.exec(`INSERT INTO requests (id, binding, repository, environment, rule, state, version, created_at, doc)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET state = excluded.state, version = excluded.version, doc = excluded.doc`,
		r.ID, r.Binding, gatekeeper.RepositoryKey(r.Workload), gatekeeper.FoldEnvironment(r.Environment), r.Rule.Name,
		string(r.State), r.Version, r.CreatedAt.UnixNano(), string(doc))
}

func scanRequest(row scanner) (gatekeeper.Request, error) {
	var doc string
	err := row.Scan(&doc)
	return readRequest(doc, err)
}

// readRequest is a document that was read, or why it was not.
func readRequest(doc string, err error) (gatekeeper.Request, error) {
	if errors.Is(err, sql.ErrNoRows) {
		return gatekeeper.Request{}, gatekeeper.Errorf(gatekeeper.CodeNotFound, "no such request")
	}
	if err != nil {
		return gatekeeper.Request{}, unavailable(err)
	}
	return parseRequest(doc)
}

func parseRequest(doc string) (gatekeeper.Request, error) {
	var r gatekeeper.Request
	// Claims keep their numbers as they were written, or rules would see
	// another value at the vote than at the opening.
	d := json.NewDecoder(strings.NewReader(doc))
	d.UseNumber()
	return r, unavailable(d.Decode(&r))
}

// UseToken implements gatekeeper.Store.
func (s *Store) UseToken(ctx context.Context, issuerURL string, token gatekeeper.Token) error {
	sum := sha256.Sum256([]byte(issuerURL + "\x00" + token.ID))
	key := hex.EncodeToString(sum[:])
	known := newKept(key)
	return s.doAsking(ctx, &known.ask, func(t *tx) (gatekeeper.Change, error) {
		hash, err := known.in(t)
		switch {
		case err != nil:
			return gatekeeper.Change{}, err
		case hash == "":
			return gatekeeper.Change{}, t.keepToken(key, token)
		case hash != token.Hash:
			return gatekeeper.Change{}, gatekeeper.Errorf(gatekeeper.CodeInvalidToken, "another token with this jti was presented before; ask the CI for a fresh one")
		}
		return gatekeeper.Change{}, nil
	})
}

// keepToken also drops a few tokens that expired: as many go as come. The
// leeway of verification is well within the hour that they are kept longer.
func (t *tx) keepToken(key string, token gatekeeper.Token) error {
	t.kept(key, token.Hash)
	if err := t.exec(`INSERT INTO tokens (key, hash, expires) VALUES (?, ?, ?)`, key, token.Hash, token.ExpiresAt.UnixNano()); err != nil {
		return unavailable(err)
	}
	return unavailable(t.exec(`DELETE FROM tokens WHERE key IN (SELECT key FROM tokens WHERE expires < ? ORDER BY expires LIMIT 2)`,
		t.now.Add(-time.Hour).UnixNano()))
}
