package store

import (
	"context"
	"crypto/rand"
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
		at = t.now.Add(w.After)
	}
	t.worked = true
	return t.exec(enqueueWork, w.Kind, w.Key, payload(w.Payload), at.UnixNano())
}

const enqueueWork = `INSERT INTO work (kind, key, payload, run_at) VALUES (?, ?, ?, ?)
	ON CONFLICT (kind, key) DO UPDATE SET payload = excluded.payload, run_at = CASE WHEN work.run_at < excluded.run_at THEN work.run_at ELSE excluded.run_at END,
	generation = work.generation + 1`

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
	holder     string // who has it, so that one who comes late ends nothing
}

// leaseTime is how long work is taken to be in hand without a sign of life
// from whoever took it.
const leaseTime = 20 * time.Second

// claim takes up to n pieces of due work. The attempt is counted before it
// begins, so that whoever runs it after a crash knows of it. at is the
// database's time, by which next is when something is due again.
func (s *Store) claim(ctx context.Context, n int) (leases []lease, next, at time.Time, err error) {
	last := s.claimed()
	err = s.do(ctx, func(t *tx) (gatekeeper.Change, error) {
		if err = t.clockMoved(last); err != nil {
			return gatekeeper.Change{}, unavailable(err)
		}
		at = t.now
		leases, err = t.due(n)
		if err != nil {
			return gatekeeper.Change{}, unavailable(err)
		}
		for _, l := range leases {
			// While it runs, only what is enqueued meanwhile says when again.
			if err := t.exec(`UPDATE work SET leased = 1, attempts = attempts + 1, run_at = ?, lease_until = ?, holder = ? WHERE kind = ? AND key = ?`,
				int64(math.MaxInt64), t.now.Add(leaseTime).UnixNano(), l.holder, l.Kind, l.Key); err != nil {
				return gatekeeper.Change{}, unavailable(err)
			}
		}
		next, err = t.nextDue()
		return gatekeeper.Change{}, unavailable(err)
	})
	if err == nil {
		s.lastClaim.Store(at.UnixNano())
	}
	return leases, next, at, err
}

// Each looks at the ends of two indexes: most of the work there is waits for
// the end of a request, and there may be many thousands.
const (
	dueWork = `SELECT kind, key, payload, generation, attempts FROM (
			SELECT * FROM (SELECT kind, key, payload, generation, attempts, run_at FROM work WHERE leased = 0 AND run_at <= ? ORDER BY run_at LIMIT ?) AS waits
			UNION ALL
			SELECT * FROM (SELECT kind, key, payload, generation, attempts, run_at FROM work WHERE leased = 1 AND lease_until <= ? ORDER BY lease_until LIMIT ?) AS taken
		) AS due ORDER BY run_at LIMIT ?`
	nextWork = `SELECT min(at) FROM (SELECT min(run_at) AS at FROM work WHERE leased = 0 UNION ALL SELECT min(lease_until) FROM work WHERE leased = 1) AS next`
)

// due is what waits for its time, and what somebody took who is gone.
func (t *tx) due(n int) ([]lease, error) {
	var leases []lease
	now := t.now.UnixNano()
	err := t.w.s.session.rows(t.ctx, dueWork, []any{now, n, now, n, n}, func(row scanner) error {
		l := lease{holder: rand.Text()}
		var body sql.NullString
		if err := row.Scan(&l.Kind, &l.Key, &body, &l.generation, &l.Attempt); err != nil {
			return err
		}
		if body.Valid {
			l.Payload = json.RawMessage(body.String)
		}
		l.Attempt++
		leases = append(leases, l)
		return nil
	})
	return leases, err
}

func (t *tx) nextDue() (time.Time, error) {
	var at sql.NullInt64
	err := t.row(nextWork).Scan(&at)
	if err != nil || !at.Valid {
		return time.Time{}, err
	}
	return time.Unix(0, at.Int64).UTC(), nil
}

// keep says that a lease is still being worked on.
func (s *Store) keep(ctx context.Context, l lease) error {
	return s.do(ctx, func(t *tx) (gatekeeper.Change, error) {
		return gatekeeper.Change{}, unavailable(t.exec(`UPDATE work SET lease_until = ? WHERE kind = ? AND key = ? AND holder = ?`,
			t.now.Add(leaseTime).UnixNano(), l.Kind, l.Key, l.holder))
	})
}

// finish ends a lease: done work goes, unless more was enqueued meanwhile.
func (s *Store) finish(ctx context.Context, l lease) error {
	return s.do(ctx, func(t *tx) (gatekeeper.Change, error) {
		t.worked = true
		gone, err := t.w.s.session.affected(t.ctx, `DELETE FROM work WHERE kind = ? AND key = ? AND generation = ? AND holder = ?`, l.Kind, l.Key, l.generation, l.holder)
		if err != nil || gone > 0 {
			return gatekeeper.Change{}, unavailable(err)
		}
		return gatekeeper.Change{}, unavailable(t.exec(`UPDATE work SET leased = 0, attempts = 0, last_error = '' WHERE kind = ? AND key = ? AND holder = ?`, l.Kind, l.Key, l.holder))
	})
}

// retry ends a lease whose work failed: it is tried again after wait, or when
// newer work says so. The error's text is kept for the operator.
func (s *Store) retry(ctx context.Context, l lease, wait time.Duration, why string) error {
	return s.do(ctx, func(t *tx) (gatekeeper.Change, error) {
		t.worked = true
		at := t.now.Add(wait).UnixNano()
		return gatekeeper.Change{}, unavailable(t.exec(`UPDATE work SET leased = 0, run_at = CASE WHEN run_at < ? THEN run_at ELSE ? END, last_error = ? WHERE kind = ? AND key = ? AND holder = ?`,
			at, at, why, l.Kind, l.Key, l.holder))
	})
}

// Waiting is a piece of work as the operator sees it.
type Waiting struct {
	Kind, Key string
	RunAt     time.Time
	Attempts  int
	LastError string
}

// Due is how much work waits for its turn or is in hand; what is for later
// does not count.
func (s *Store) Due(ctx context.Context) (n int, err error) {
	err = s.read.QueryRowContext(ctx, `SELECT (SELECT count(*) FROM work WHERE leased = 1) + (SELECT count(*) FROM work WHERE leased = 0 AND run_at <= ?)`, time.Now().UnixNano()).Scan(&n)
	return n, unavailable(err)
}

// Queue lists the work that waits or runs, the next first.
func (s *Store) Queue(ctx context.Context) ([]Waiting, error) {
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
