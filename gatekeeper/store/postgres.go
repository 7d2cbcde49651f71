package store

import (
	"context"
	"embed"
	"io/fs"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed migrations_postgres/*.sql
var postgresMigrations embed.FS

// OpenPostgres opens the store that replicas share. Their writers take turns
// by an advisory lock, since all of them append to one ledger: a replica sees
// all that was committed before it decides. LISTEN and NOTIFY carry the news
// to steps that wait at another replica.
func OpenPostgres(ctx context.Context, o Options) (*Store, error) {
	s, err := newStore(o)
	if err != nil {
		return nil, err
	}
	config, err := postgresConfig(o.Path)
	if err != nil {
		return nil, err
	}
	if err := migratePostgres(ctx, config, Redacted(o.Path)); err != nil {
		return nil, notUp(err, "database %s cannot be reached or brought up to date", Redacted(o.Path))
	}
	if s.read, err = openPostgresReads(o.Path); err != nil {
		return nil, err
	}
	s.session = &pgSession{config: config, number: &s.writing}
	if err := s.beginListening(ctx, config); err != nil {
		s.closeAll()
		return nil, unavailable(err)
	}
	go newWriter(s).run()
	return s, nil
}

// Redacted is a path without the password that it may hold.
func Redacted(path string) string {
	u, err := url.Parse(path)
	if err != nil || !Postgres(path) {
		return path
	}
	return u.Redacted()
}

// postgresConfig holds each connection to durability and to times: whoever
// stops in the middle of a transaction has the lock taken away.
func postgresConfig(path string) (*pgx.ConnConfig, error) {
	config, err := pgx.ParseConfig(path)
	if err != nil { // its text leaves passwords out
		return nil, gatekeeper.Wrap(err, gatekeeper.CodeInvalidRequest, "database %s is no URL of PostgreSQL; postgres://user@host/db is", Redacted(path))
	}
	for name, value := range map[string]string{
		"application_name": "gatekeeper", "synchronous_commit": "on", "timezone": "UTC",
		"statement_timeout": "15s", "lock_timeout": "10s", "idle_in_transaction_session_timeout": "10s",
	} {
		if _, ok := config.RuntimeParams[name]; !ok || name == "synchronous_commit" {
			config.RuntimeParams[name] = value
		}
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = 5 * time.Second
	}
	return config, nil
}

func openPostgresReads(path string) (*reads, error) {
	config, err := postgresConfig(path)
	if err != nil {
		return nil, err
	}
	db := stdlib.OpenDB(*config)
	db.SetMaxOpenConns(16)
	db.SetMaxIdleConns(4)
	return &reads{DB: db, spell: numbered, state: `doc::json ->> 'state'`}, nil
}

// numbered spells ? as $1, $2 and so on. No statement of ours has a question
// mark of another meaning.
func numbered(query string) string {
	var b strings.Builder
	n := 0
	for _, r := range query {
		if r != '?' {
			b.WriteRune(r)
			continue
		}
		n++
		b.WriteString("$" + strconv.Itoa(n))
	}
	return b.String()
}

// migratePostgres lets one replica at a time bring the schema up to date.
func migratePostgres(ctx context.Context, config *pgx.ConnConfig, name string) error {
	files, err := fs.Sub(postgresMigrations, "migrations_postgres")
	if err != nil {
		return err
	}
	turns, err := lock.NewPostgresSessionLocker()
	if err != nil {
		return err
	}
	db := stdlib.OpenDB(*config)
	defer db.Close()
	provider, err := goose.NewProvider(goose.DialectPostgres, db, files, goose.WithSessionLocker(turns), goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return err
	}
	if err := db.PingContext(ctx); err != nil { // otherwise the locker waits for minutes
		return err
	}
	return bringUp(ctx, db, provider, name)
}

// submitPostgres leaves work, and news of it.
func submitPostgres(ctx context.Context, path string, w gatekeeper.Work) error {
	return onPostgres(ctx, path, func(conn *pgx.Conn) error {
		if _, err := conn.Exec(ctx, numbered(enqueueWork), w.Kind, w.Key, payload(w.Payload), 0); err != nil {
			return err
		}
		_, err := conn.Exec(ctx, `SELECT pg_notify($1, $2)`, newsChannel, newsOf(nil, true)[0])
		return err
	})
}

// vacuum takes as long as it takes.
func (s *Store) vacuum(ctx context.Context) error {
	return onPostgres(ctx, s.o.Path, func(conn *pgx.Conn) error {
		for _, do := range []string{`SET statement_timeout = 0`, `VACUUM ledger_events, requests, notes`} {
			if _, err := conn.Exec(ctx, do); err != nil {
				return err
			}
		}
		return nil
	})
}

// onPostgres is for what needs a connection of its own, once.
func onPostgres(ctx context.Context, path string, do func(*pgx.Conn) error) error {
	config, err := postgresConfig(path)
	if err != nil {
		return err
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return err
	}
	defer hangUp(ctx, conn)
	return do(conn)
}
