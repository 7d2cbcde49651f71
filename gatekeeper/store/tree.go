package store

import (
	"bytes"
	"database/sql"
	"errors"
)

// tree appends a batch's events to the ledger. It keeps the hashes that it
// read or wrote lately, so that an append reads none in the steady state: what
// was committed never changes, whoever wrote it.
type tree struct {
	known  bool
	size   int64 // events
	hashes int64 // stored hashes

	rotation []byte // the last event of a rotation of the ledger's key; nil: none
	recent   map[int64][32]byte
	asked    *ask
}

// maxRecent bounds the cache; an append needs the right edge, which is
// logarithmic in the ledger's size.
const maxRecent = 4096

const treeNow = `SELECT
	(SELECT coalesce(max(idx) + 1, 0) FROM ledger_events),
	(SELECT coalesce(max(idx) + 1, 0) FROM ledger_hashes),
	(SELECT body FROM ledger_events WHERE type = 'ledger.key_rotated' AND type >= 'ledger.' AND type < 'ledger/' ORDER BY idx DESC LIMIT 1)`

// ask adds to what a batch asks how large the tree is, when that is not known:
// others may have appended to one that is shared.
func (l *tree) ask(asks []*ask, shared bool) []*ask {
	l.asked = nil
	if l.known && !shared {
		return asks
	}
	l.asked = &ask{query: treeNow, scan: func(row scanner) error { return row.Scan(&l.size, &l.hashes, &l.rotation) }}
	return append(asks, l.asked)
}

// load goes by what was asked, nil where all was known.
func (l *tree) load() error {
	if l.recent == nil {
		l.recent = map[int64][32]byte{}
	}
	if l.asked == nil {
		return nil
	}
	l.known = l.asked.err == nil
	return l.asked.err
}

// forget drops what a rolled back batch may have left here.
func (l *tree) forget() { l.known, l.recent = false, nil }

func (l *tree) grow(t *tx) error {
	if len(t.bodies) == 0 {
		return nil
	}
	if err := l.load(); err != nil {
		return err
	}
	if f, ok := t.w.s.o.Ledger.(Follower); ok {
		if err := f.Follow(l.rotation); err != nil {
			return err
		}
	}
	read := func(indexes []int64) ([][32]byte, error) { return l.read(t, indexes) }
	fresh, checkpoint, err := t.w.s.o.Ledger.Append(l.size, read, t.bodies)
	if err != nil {
		return err
	}
	if err := l.write(t, fresh, checkpoint); err != nil {
		return err
	}
	l.size += int64(len(t.bodies))
	l.hashes += int64(len(fresh))
	return nil
}

func (l *tree) write(t *tx, fresh [][32]byte, checkpoint []byte) error {
	events := make([][]any, len(t.events))
	for i, e := range t.events {
		events[i] = []any{l.size + int64(i), e.ID, string(e.Type), e.Request, e.Time.UnixNano(), t.bodies[i]}
	}
	if err := t.w.s.session.insert(t.ctx, "ledger_events", []string{"idx", "id", "type", "request", "time", "body"}, events); err != nil {
		return err
	}
	if len(l.recent) > maxRecent {
		clear(l.recent)
	}
	hashes := make([][]any, len(fresh))
	for i, hash := range fresh {
		hashes[i] = []any{l.hashes + int64(i), bytes.Clone(hash[:])}
		l.recent[l.hashes+int64(i)] = hash
	}
	if err := t.w.s.session.insert(t.ctx, "ledger_hashes", []string{"idx", "hash"}, hashes); err != nil {
		return err
	}
	return t.exec(`INSERT INTO ledger_checkpoints (size, note) VALUES (?, ?)`, l.size+int64(len(t.bodies)), string(checkpoint))
}

func (l *tree) read(t *tx, indexes []int64) ([][32]byte, error) {
	out := make([][32]byte, len(indexes))
	for i, index := range indexes {
		hash, ok := l.recent[index]
		if !ok {
			var stored []byte
			err := t.row(`SELECT hash FROM ledger_hashes WHERE idx = ?`, index).Scan(&stored)
			if errors.Is(err, sql.ErrNoRows) || (err == nil && len(stored) != 32) {
				return nil, errors.New("store: the ledger lacks a stored hash; run `gatekeeper audit verify`")
			}
			if err != nil {
				return nil, err
			}
			hash = [32]byte(stored)
			l.recent[index] = hash
		}
		out[i] = hash
	}
	return out, nil
}
