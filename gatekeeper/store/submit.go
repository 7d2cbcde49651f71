package store

import (
	"context"
	"database/sql"
	"errors"
	"math"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// ErrInUse is in the error of opening a database that another process serves
// from.
var ErrInUse = errors.New("store: another process serves from the database")

// Submit leaves work for the process that serves from the database, which
// does it within seconds.
func Submit(ctx context.Context, path string, w gatekeeper.Work) error {
	if Postgres(path) {
		return unavailable(submitPostgres(ctx, path, w))
	}
	db, err := sql.Open("sqlite", dsn(path, "rw", "synchronous(FULL)"))
	if err != nil {
		return unavailable(err)
	}
	defer db.Close()
	_, err = db.ExecContext(ctx, enqueueWork, w.Kind, w.Key, payload(w.Payload), 0) // at once, whatever our clock says
	return unavailable(err)
}

// Waiting looks at one piece of work; ok is false when it is done.
func (r *Reader) Waiting(ctx context.Context, kind, key string) (w Waiting, ok bool, err error) {
	var at int64
	w = Waiting{Kind: kind, Key: key}
	err = r.db.QueryRowContext(ctx, `SELECT run_at, attempts, last_error FROM work WHERE kind = ? AND key = ?`, kind, key).Scan(&at, &w.Attempts, &w.LastError)
	if errors.Is(err, sql.ErrNoRows) {
		return w, false, nil
	}
	if at != math.MaxInt64 {
		w.RunAt = time.Unix(0, at).UTC()
	}
	return w, err == nil, unavailable(err)
}
