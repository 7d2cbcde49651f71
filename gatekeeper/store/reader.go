package store

import (
	"context"
	"database/sql"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// Reader reads a ledger, also while a service writes to it.
type Reader struct{ db *reads }

// OpenReader opens the database that the path names, as in Options, for
// reading only.
func OpenReader(ctx context.Context, path string) (*Reader, error) {
	open := openSQLiteReads
	if Postgres(path) {
		open = openPostgresReads
	}
	db, err := open(path)
	if err != nil {
		return nil, err
	}
	if err := db.PingContext(ctx); err != nil {
		_ = db.Close()
		return nil, gatekeeper.Wrap(err, gatekeeper.CodeUnavailable, "database %s cannot be read", Redacted(path))
	}
	return &Reader{db}, nil
}

// Reader reads the ledger of an open store.
func (s *Store) Reader() *Reader { return &Reader{s.read} }

// Close lets the database go.
func (r *Reader) Close() error { return r.db.Close() }

// Get is a stored request, or a CodeNotFound error.
func (r *Reader) Get(ctx context.Context, id string) (gatekeeper.Request, error) {
	return scanRequest(r.db.QueryRowContext(ctx, `SELECT doc FROM requests WHERE id = ?`, id))
}

// Hashes visits the tree's stored hashes in order.
func (r *Reader) Hashes(ctx context.Context, visit func(index int64, hash [32]byte) error) error {
	return each(ctx, r.db, `SELECT idx, hash FROM ledger_hashes ORDER BY idx`, nil, func(rows *sql.Rows) error {
		var index int64
		var hash []byte
		if err := rows.Scan(&index, &hash); err != nil {
			return unavailable(err)
		}
		if len(hash) != 32 {
			hash = make([]byte, 32) // no hash of anything: verification names the event
		}
		return visit(index, [32]byte(hash))
	})
}

// Checkpoints visits the signed checkpoints by size.
func (r *Reader) Checkpoints(ctx context.Context, visit func(size int64, note []byte) error) error {
	return each(ctx, r.db, `SELECT size, note FROM ledger_checkpoints ORDER BY size`, nil, func(rows *sql.Rows) error {
		var size int64
		var note string
		if err := rows.Scan(&size, &note); err != nil {
			return unavailable(err)
		}
		return visit(size, []byte(note))
	})
}

// States visits each stored request's id and state.
func (r *Reader) States(ctx context.Context, visit func(id string, state gatekeeper.State) error) error {
	return each(ctx, r.db, `SELECT id, `+r.db.state+` FROM requests ORDER BY id`, nil, func(rows *sql.Rows) error {
		var id, state string
		if err := rows.Scan(&id, &state); err != nil {
			return unavailable(err)
		}
		return visit(id, gatekeeper.State(state))
	})
}

func each(ctx context.Context, db *reads, query string, args []any, visit func(*sql.Rows) error) error {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return unavailable(err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := visit(rows); err != nil {
			return err
		}
	}
	return unavailable(rows.Err())
}
