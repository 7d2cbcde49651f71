package store

import (
	"context"
	"database/sql"
	"errors"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// Pruned is what one step of a pruning did.
type Pruned struct {
	Next     int64 // where the next step begins
	Events   int   // whose payloads went
	Requests int   // whose documents went
	Kept     int   // events kept, because they are needed or their request is not over
}

// Prune replaces the payloads of at most n events, from index from on and
// before index before, by nothing: their hashes stay in the tree. A request
// goes whole, document and notes, when all of its events are before that and
// nothing can come of it any more. The ledger's own events and those of
// passkeys, which later signatures are checked with, are never touched.
func (s *Store) Prune(ctx context.Context, from, before int64, n int) (Pruned, error) {
	var p Pruned
	err := s.do(ctx, func(t *tx) (gatekeeper.Change, error) {
		p, t.blind = Pruned{Next: from}, true
		leaves, err := t.prunable(from, before, n)
		if err != nil {
			return gatekeeper.Change{}, unavailable(err)
		}
		return gatekeeper.Change{}, unavailable(t.prune(leaves, before, &p))
	})
	return p, err
}

// leafKey is what says whether an event may be pruned.
type leafKey struct {
	index   int64
	request string
	own     bool
}

func (t *tx) prunable(from, before int64, n int) (all []leafKey, err error) {
	err = t.w.s.session.rows(t.ctx, `SELECT idx, request, type LIKE 'ledger.%' OR type LIKE 'passkey.%' OR length(body) = 0
		FROM ledger_events WHERE idx >= ? AND idx < ? ORDER BY idx LIMIT ?`, []any{from, before, n}, func(row scanner) error {
		var l leafKey
		err := row.Scan(&l.index, &l.request, &l.own)
		all = append(all, l)
		return err
	})
	return all, err
}

func (t *tx) prune(leaves []leafKey, before int64, p *Pruned) error {
	over := map[string]bool{"": true}
	kinds, err := t.noteKinds()
	if err != nil {
		return err
	}
	for _, l := range leaves {
		p.Next = l.index + 1
		goes, known := over[l.request]
		if !known {
			if goes, err = t.pruneRequest(l.request, before, kinds, p); err != nil {
				return err
			}
			over[l.request] = goes
		}
		if l.own || !goes {
			p.Kept++
			continue
		}
		if err := t.exec(`UPDATE ledger_events SET body = ? WHERE idx = ?`, []byte{}, l.index); err != nil {
			return err
		}
		p.Events++
	}
	return nil
}

// pruneRequest drops a request that is over; ok is also true for one that is
// gone already.
func (t *tx) pruneRequest(id string, before int64, kinds []string, p *Pruned) (ok bool, err error) {
	r, err := scanRequest(t.row(`SELECT doc FROM requests WHERE id = ?`, id))
	if gatekeeper.CodeOf(err) == gatekeeper.CodeNotFound {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	var last int64
	if err := t.row(`SELECT max(idx) FROM ledger_events WHERE request = ?`, id).Scan(&last); err != nil {
		return false, err
	}
	if last >= before || !r.Over(t.now) {
		return false, nil
	}
	p.Requests++
	if err := t.exec(`DELETE FROM requests WHERE id = ?`, id); err != nil {
		return false, err
	}
	for _, kind := range kinds {
		if err := t.exec(`DELETE FROM notes WHERE kind = ? AND key = ?`, kind, id); err != nil {
			return false, err
		}
	}
	return true, nil
}

// noteKinds are looked up once: notes are found by kind and key.
func (t *tx) noteKinds() (kinds []string, err error) {
	err = t.w.s.session.rows(t.ctx, `SELECT DISTINCT kind FROM notes`, nil, func(row scanner) error {
		var kind string
		err := row.Scan(&kind)
		kinds = append(kinds, kind)
		return err
	})
	return kinds, err
}

// Forget makes what was pruned leave the disk. SQLite overwrites what it
// deletes (secure_delete) and keeps it in the write-ahead log until then;
// PostgreSQL keeps old rows until they are vacuumed.
func (s *Store) Forget(ctx context.Context) error {
	if s.Shared() {
		return unavailable(s.vacuum(ctx))
	}
	db, err := sql.Open("sqlite", dsn(s.o.Path, "rw"))
	if err != nil {
		return unavailable(err)
	}
	defer db.Close()
	var busy, pages, moved int
	err = db.QueryRowContext(ctx, `PRAGMA wal_checkpoint(TRUNCATE)`).Scan(&busy, &pages, &moved)
	if err == nil && busy != 0 {
		err = errors.New("readers hold the write-ahead log")
	}
	return unavailable(err)
}

// FirstAt is the index of the first event at or after a time, as unix
// nanoseconds; the ledger's size when there is none.
func (r *Reader) FirstAt(ctx context.Context, at int64) (int64, error) {
	var first sql.NullInt64
	if err := r.db.QueryRowContext(ctx, `SELECT min(idx) FROM ledger_events WHERE time >= ?`, at).Scan(&first); err != nil {
		return 0, unavailable(err)
	}
	if !first.Valid {
		return r.Size(ctx)
	}
	return first.Int64, nil
}

// Payloads counts the events before an index that still have theirs.
func (r *Reader) Payloads(ctx context.Context, before int64) (n int, err error) {
	err = r.db.QueryRowContext(ctx, `SELECT count(*) FROM ledger_events WHERE idx < ? AND length(body) > 0`, before).Scan(&n)
	return n, unavailable(err)
}
