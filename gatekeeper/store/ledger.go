package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// Leaf is one event of the ledger as it is stored. An empty Body means that
// the event was pruned: its hash alone is left.
type Leaf struct {
	Index             int64
	ID, Type, Request string
	Time              time.Time
	Body              []byte
}

const leafColumns = `SELECT idx, id, type, request, time, body FROM ledger_events`

// Leaves visits events in order, beginning at index from; request "" means
// all requests.
func (r *Reader) Leaves(ctx context.Context, from int64, request string, visit func(Leaf) error) error {
	query, args := leafColumns+` WHERE idx >= ?`, []any{from}
	if request != "" {
		query, args = query+` AND request = ?`, append(args, request)
	}
	return r.leaves(ctx, query+` ORDER BY idx`, args, visit)
}

// Page visits at most n events, beginning at index from.
func (r *Reader) Page(ctx context.Context, from int64, n int, visit func(Leaf) error) error {
	return r.leaves(ctx, leafColumns+` WHERE idx >= ? ORDER BY idx LIMIT ?`, []any{from, n}, visit)
}

// OfType visits the events of one type, which has to be one of the ledger's
// own: those have an index.
func (r *Reader) OfType(ctx context.Context, t gatekeeper.EventType, visit func(Leaf) error) error {
	return r.leaves(ctx, leafColumns+` WHERE type = ? AND type >= 'ledger.' AND type < 'ledger/' ORDER BY idx`, []any{string(t)}, visit)
}

func (r *Reader) leaves(ctx context.Context, query string, args []any, visit func(Leaf) error) error {
	return each(ctx, r.db, query, args, func(rows *sql.Rows) error {
		var l Leaf
		var at int64
		if err := rows.Scan(&l.Index, &l.ID, &l.Type, &l.Request, &at, &l.Body); err != nil {
			return unavailable(err)
		}
		l.Time = time.Unix(0, at).UTC()
		return visit(l)
	})
}

// Size is how many events the ledger has.
func (r *Reader) Size(ctx context.Context) (int64, error) {
	var size int64
	err := r.db.QueryRowContext(ctx, `SELECT coalesce(max(idx) + 1, 0) FROM ledger_events`).Scan(&size)
	return size, unavailable(err)
}

// StoredHashes are hashes of the tree by tlog's storage index.
func (r *Reader) StoredHashes(ctx context.Context, indexes []int64) ([][32]byte, error) {
	out := make([][32]byte, len(indexes))
	for i, index := range indexes {
		var hash []byte
		err := r.db.QueryRowContext(ctx, `SELECT hash FROM ledger_hashes WHERE idx = ?`, index).Scan(&hash)
		if errors.Is(err, sql.ErrNoRows) || (err == nil && len(hash) != 32) {
			return nil, gatekeeper.Errorf(gatekeeper.CodeUnavailable, "the ledger lacks a stored hash; run `gatekeeper audit verify`")
		}
		if err != nil {
			return nil, unavailable(err)
		}
		out[i] = [32]byte(hash)
	}
	return out, nil
}

// NewestCheckpoint is the last signed checkpoint, nil for an empty ledger.
func (r *Reader) NewestCheckpoint(ctx context.Context) ([]byte, error) {
	return r.checkpoint(ctx, `SELECT note FROM ledger_checkpoints ORDER BY size DESC LIMIT 1`)
}

// CheckpointCovering is the first checkpoint of at least size events.
func (r *Reader) CheckpointCovering(ctx context.Context, size int64) ([]byte, error) {
	return r.checkpoint(ctx, `SELECT note FROM ledger_checkpoints WHERE size >= ? ORDER BY size LIMIT 1`, size)
}

// CheckpointUpTo is the last checkpoint of at most size events.
func (r *Reader) CheckpointUpTo(ctx context.Context, size int64) ([]byte, error) {
	return r.checkpoint(ctx, `SELECT note FROM ledger_checkpoints WHERE size <= ? ORDER BY size DESC LIMIT 1`, size)
}

func (r *Reader) checkpoint(ctx context.Context, query string, args ...any) ([]byte, error) {
	var note string
	err := r.db.QueryRowContext(ctx, query, args...).Scan(&note)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return []byte(note), unavailable(err)
}
