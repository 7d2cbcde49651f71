package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"math"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// enqueue merges work into what waits of the same kind and key: the newer
// payload and the earlier time win. The generation tells a run under way that
// it is not the last one.
func (t *tx) enqueue(w gatekeeper.Work) error {
	at := w.RunAt
	if at.IsZero() {
		at = t.now
	}
	t.worked = true
	return t.exec(enqueueWork, w.Kind, w.Key, payload(w.Payload), at.UnixNano())
}

const enqueueWork = `INSERT INTO work (kind, key, payload, run_at) VALUES (?, ?, ?, ?)
	ON CONFLICT (kind, key) DO UPDATE SET payload = excluded.payload, run_at = min(run_at, excluded.run_at), generation = generation + 1`

func payload(p json.RawMessage) any {
	if p == nil {
		return nil
	}
	return string(p)
}

// lease is work in hand.
type lease struct {
	gatekeeper.Work
	generation int64
}

// claim takes up to n pieces of due work. The attempt is counted before it
// begins, so that whoever runs it after a crash knows of it.
func (s *SQLite) claim(ctx context.Context, n int) (leases []lease, next time.Time, err error) {
	err = s.do(ctx, func(t *tx) (gatekeeper.Change, error) {
		leases, err = t.due(n)
		if err != nil {
			return gatekeeper.Change{}, unavailable(err)
		}
		for _, l := range leases {
			// While it runs, only what is enqueued meanwhile says when again.
			if err := t.exec(`UPDATE work SET leased = 1, attempts = attempts + 1, run_at = ? WHERE kind = ? AND key = ?`, int64(math.MaxInt64), l.Kind, l.Key); err != nil {
				return gatekeeper.Change{}, unavailable(err)
			}
		}
		next, err = t.nextDue()
		return gatekeeper.Change{}, unavailable(err)
	})
	return leases, next, err
}

func (t *tx) due(n int) ([]lease, error) {
	s, err := t.w.prepare(t.ctx, `SELECT kind, key, payload, generation, attempts FROM work WHERE leased = 0 AND run_at <= ? ORDER BY run_at LIMIT ?`)
	if err != nil {
		return nil, err
	}
	rows, err := s.QueryContext(t.ctx, t.now.UnixNano(), n)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var leases []lease
	for rows.Next() {
		var l lease
		var body sql.NullString
		if err := rows.Scan(&l.Kind, &l.Key, &body, &l.generation, &l.Attempt); err != nil {
			return nil, err
		}
		if body.Valid {
			l.Payload = json.RawMessage(body.String)
		}
		l.Attempt++
		leases = append(leases, l)
	}
	return leases, rows.Err()
}

func (t *tx) nextDue() (time.Time, error) {
	var at sql.NullInt64
	err := t.row(`SELECT min(run_at) FROM work WHERE leased = 0`).Scan(&at)
	if err != nil || !at.Valid {
		return time.Time{}, err
	}
	return time.Unix(0, at.Int64).UTC(), nil
}

// finish ends a lease: done work goes, unless more was enqueued meanwhile.
func (s *SQLite) finish(ctx context.Context, l lease) error {
	return s.do(ctx, func(t *tx) (gatekeeper.Change, error) {
		t.worked = true
		done, err := t.result(`DELETE FROM work WHERE kind = ? AND key = ? AND generation = ?`, l.Kind, l.Key, l.generation)
		if err != nil {
			return gatekeeper.Change{}, unavailable(err)
		}
		if n, err := done.RowsAffected(); err != nil || n > 0 {
			return gatekeeper.Change{}, unavailable(err)
		}
		return gatekeeper.Change{}, unavailable(t.exec(`UPDATE work SET leased = 0, attempts = 0, last_error = '' WHERE kind = ? AND key = ?`, l.Kind, l.Key))
	})
}

// retry ends a lease whose work failed: it is tried again after wait, or when
// newer work says so. The error's text is kept for the operator.
func (s *SQLite) retry(ctx context.Context, l lease, wait time.Duration, why string) error {
	return s.do(ctx, func(t *tx) (gatekeeper.Change, error) {
		t.worked = true
		return gatekeeper.Change{}, unavailable(t.exec(`UPDATE work SET leased = 0, run_at = min(run_at, ?), last_error = ? WHERE kind = ? AND key = ?`,
			t.now.Add(wait).UnixNano(), why, l.Kind, l.Key))
	})
}

// Waiting is a piece of work as the operator sees it.
type Waiting struct {
	Kind, Key string
	RunAt     time.Time
	Attempts  int
	LastError string
}

// Queue lists the work that waits or runs, the next first.
func (s *SQLite) Queue(ctx context.Context) ([]Waiting, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT kind, key, run_at, attempts, last_error FROM work ORDER BY run_at, kind, key LIMIT 1000`)
	if err != nil {
		return nil, unavailable(err)
	}
	defer rows.Close()
	var all []Waiting
	for rows.Next() {
		var w Waiting
		var at int64
		if err := rows.Scan(&w.Kind, &w.Key, &at, &w.Attempts, &w.LastError); err != nil {
			return nil, unavailable(err)
		}
		w.RunAt = time.Unix(0, at).UTC()
		all = append(all, w)
	}
	return all, unavailable(rows.Err())
}
