package store

import (
	"context"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// newsChannel carries which requests changed, as lines, and an empty line for
// new work or a grown ledger (see Ledgers).
const newsChannel = "gatekeeper_news"

// mostNews keeps a notice below PostgreSQL's 8,000 bytes.
const mostNews = 150

func newsOf(changed []string, worked bool) []string {
	if worked {
		changed = append(changed, "")
	}
	var all []string
	for len(changed) > 0 {
		n := min(len(changed), mostNews)
		all, changed = append(all, strings.Join(changed[:n], "\n")), changed[n:]
	}
	return all
}

// beginListening hears from the first moment on; the store's release ends it.
func (s *Store) beginListening(ctx context.Context, config *pgx.ConnConfig) error {
	conn, err := ear(ctx, config)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.listen(ctx, config, conn)
	}()
	s.release = func() { stop(); <-done }
	return nil
}

// listen passes other replicas' news on, for as long as the store is open.
func (s *Store) listen(ctx context.Context, config *pgx.ConnConfig, conn *pgx.Conn) {
	for ctx.Err() == nil {
		var err error
		if conn == nil {
			if conn, err = ear(ctx, config); err == nil {
				s.hub.notifyAll() // what was said before we listened is lost
				s.wakeUp()
			}
		}
		if err == nil {
			err = s.hear(ctx, conn)
			hangUp(ctx, conn)
			conn = nil
		}
		if ctx.Err() == nil {
			s.o.Logger.WarnContext(ctx, "no news from other replicas until the database is back", "error", err)
			pause(ctx, time.Second)
		}
	}
	if conn != nil {
		hangUp(ctx, conn)
	}
}

// earName tells the connection that each serving process has once.
const earName = "gatekeeper news"

func ear(ctx context.Context, config *pgx.ConnConfig) (*pgx.Conn, error) {
	config = config.Copy()
	config.RuntimeParams["application_name"] = earName
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	if _, err = conn.Exec(ctx, `LISTEN `+newsChannel); err != nil {
		hangUp(ctx, conn)
		return nil, err
	}
	return conn, nil
}

func hangUp(ctx context.Context, conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = conn.Close(ctx)
}

func (s *Store) hear(ctx context.Context, conn *pgx.Conn) error {
	for {
		news, err := conn.WaitForNotification(ctx)
		if err != nil {
			return err
		}
		if news.PID == s.writing.Load() { // our own: those who wait here know
			continue
		}
		for id := range strings.SplitSeq(news.Payload, "\n") {
			if s.hub.notify(id); id == "" {
				s.wakeUp()
			}
		}
	}
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
