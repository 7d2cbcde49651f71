package store

import (
	"context"
	"database/sql"
	"errors"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// Note is a reference kept for a vendor's adapter, nil when there is none.
func (s *Store) Note(ctx context.Context, kind, key string) ([]byte, error) {
	var value []byte
	err := s.read.QueryRowContext(ctx, `SELECT value FROM notes WHERE kind = ? AND key = ?`, kind, key).Scan(&value)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return value, unavailable(err)
}

// NotesUnder are those of a kind whose key begins with prefix, by their keys.
func (s *Store) NotesUnder(ctx context.Context, kind, prefix string) ([]gatekeeper.Note, error) {
	var found []gatekeeper.Note
	// A range, not LIKE: a prefix may hold LIKE's own characters.
	err := each(ctx, s.read, `SELECT key, value FROM notes WHERE kind = ? AND key >= ? AND key < ? ORDER BY key`, []any{kind, prefix, prefix + "\U0010FFFF"}, func(rows *sql.Rows) error {
		n := gatekeeper.Note{Kind: kind}
		if err := rows.Scan(&n.Key, &n.Value); err != nil {
			return unavailable(err)
		}
		found = append(found, n)
		return nil
	})
	return found, err
}

// SetNote keeps a reference durably.
func (s *Store) SetNote(ctx context.Context, kind, key string, value []byte) error {
	return s.Record(ctx, gatekeeper.Change{Notes: []gatekeeper.Note{{Kind: kind, Key: key, Value: value}}})
}

func (t *tx) note(n gatekeeper.Note) error {
	if n.Value == nil {
		return t.exec(`DELETE FROM notes WHERE kind = ? AND key = ?`, n.Kind, n.Key)
	}
	return t.exec(`INSERT INTO notes (kind, key, value) VALUES (?, ?, ?)
		ON CONFLICT (kind, key) DO UPDATE SET value = excluded.value`, n.Kind, n.Key, n.Value)
}

// Notes are the references of one kind by their keys, at most limit of them.
func (s *Store) Notes(ctx context.Context, kind string, limit int) (map[string][]byte, error) {
	found := map[string][]byte{}
	err := each(ctx, s.read, `SELECT key, value FROM notes WHERE kind = ? ORDER BY key LIMIT ?`, []any{kind, limit}, func(rows *sql.Rows) error {
		var key string
		var value []byte
		if err := rows.Scan(&key, &value); err != nil {
			return unavailable(err)
		}
		found[key] = value
		return nil
	})
	return found, err
}

// DropNote forgets a reference; one that nobody made is no error.
func (s *Store) DropNote(ctx context.Context, kind, key string) error {
	return s.SetNote(ctx, kind, key, nil)
}
