package store

import (
	"context"
	"hash/fnv"
	"time"

	"github.com/jackc/pgx/v5"
)

// pulse is how often a leader looks whether it still is one, and how long
// another one waits to become it.
const pulse = 2 * time.Second

// Lead runs do on one replica at a time, for what has to happen once and in
// order, and again on another one when that replica is gone. do's context ends
// when the database no longer knows who leads. On SQLite the one process
// leads.
func (s *Store) Lead(ctx context.Context, what string, do func(context.Context)) {
	if !s.Shared() {
		do(ctx)
		return
	}
	for ctx.Err() == nil {
		if err := s.leadOnce(ctx, what, do); err != nil && ctx.Err() == nil {
			s.o.Logger.WarnContext(ctx, "nobody leads until the database is back", "what", what, "error", err)
		}
		pause(ctx, pulse)
	}
}

// leadOnce leads if nobody else does. The lock is the connection's: it goes
// when either end dies.
func (s *Store) leadOnce(ctx context.Context, what string, do func(context.Context)) error {
	return onPostgres(ctx, s.o.Path, func(conn *pgx.Conn) error {
		var ours bool
		if err := conn.QueryRow(ctx, `SELECT pg_try_advisory_lock($1)`, lockOf(what)).Scan(&ours); err != nil || !ours {
			return err
		}
		s.o.Logger.InfoContext(ctx, "this replica leads", "what", what)
		leading, stop := context.WithCancel(ctx)
		done := make(chan struct{})
		go func() { defer close(done); do(leading) }()
		err := alive(leading, conn, done)
		stop()
		<-done
		return err
	})
}

// alive returns when do ended, ctx did, or the connection is lost.
func alive(ctx context.Context, conn *pgx.Conn, done <-chan struct{}) error {
	tick := time.NewTicker(pulse)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return nil
		case <-ctx.Done():
			return nil
		case <-tick.C:
			asking, cancel := context.WithTimeout(ctx, pulse)
			_, err := conn.Exec(asking, `SELECT 1`)
			cancel()
			if err != nil {
				return err
			}
		}
	}
}

// lockOf is a lock's number, apart from the writers' turn.
func lockOf(what string) int64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte("gatekeeper/" + what))
	return int64(h.Sum64() >> 1)
}

// Alone says whether no other process serves from the database right now.
func (s *Store) Alone(ctx context.Context) (bool, error) {
	if !s.Shared() {
		return true, nil
	}
	var ears int
	err := s.read.QueryRowContext(ctx, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = '`+earName+`'`).Scan(&ears)
	return ears == 1, unavailable(err)
}
