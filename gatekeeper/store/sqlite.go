package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"io/fs"
	"net/url"
	"os"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // the driver "sqlite"
)

//go:embed migrations/*.sql
var sqliteMigrations embed.FS

// OpenSQLite opens or makes the store of one process: WAL, one writer,
// synchronous=FULL. A database that another process serves from is refused.
func OpenSQLite(ctx context.Context, o Options) (*Store, error) {
	s, err := newStore(o)
	if err != nil {
		return nil, err
	}
	if s.release, err = lockFile(o.Path + ".lock"); unplaced(err) {
		return nil, gatekeeper.Wrap(err, gatekeeper.CodeUnavailable, "database %s cannot be made or read", o.Path)
	} else if err != nil {
		return nil, gatekeeper.Wrap(errors.Join(ErrInUse, err), gatekeeper.CodeUnavailable, "database %s is in use by another process; SQLite serves one, use postgres: for several replicas", o.Path)
	}
	if err := s.openSQLite(ctx); err != nil {
		s.closeAll()
		return nil, err
	}
	go newWriter(s).run()
	return s, nil
}

// unplaced tells a lock that cannot lie there from one that somebody has.
func unplaced(err error) bool {
	var path *fs.PathError
	return errors.As(err, &path) && !errors.Is(err, fs.ErrExist)
}

func (s *Store) openSQLite(ctx context.Context) error {
	if err := private(s.o.Path); err != nil {
		return gatekeeper.Wrap(err, gatekeeper.CodeUnavailable, "database %s cannot be made or read", s.o.Path)
	}
	db, err := sql.Open("sqlite", dsn(s.o.Path, "rwc", "synchronous(FULL)", "journal_mode(WAL)", "foreign_keys(ON)", "secure_delete(ON)"))
	if err != nil {
		return unavailable(err)
	}
	db.SetMaxOpenConns(1)
	s.session = &sqliteSession{db: db, stmt: map[string]*sql.Stmt{}}
	if err := migrateSQLite(ctx, db, s.o.Path); err != nil {
		return notUp(err, "database %s cannot be brought up to date", s.o.Path)
	}
	// Whoever held leases on work is gone: this process has the lock.
	if _, err := db.ExecContext(ctx, `UPDATE work SET leased = 0, run_at = 0 WHERE leased = 1`); err != nil {
		return unavailable(err)
	}
	s.read, err = openSQLiteReads(s.o.Path)
	return err
}

// private makes the file with mode 0600 before SQLite does with the umask's.
func private(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

func openSQLiteReads(path string) (*reads, error) {
	db, err := sql.Open("sqlite", dsn(path, "ro", "query_only(ON)"))
	if err != nil {
		return nil, unavailable(err)
	}
	db.SetMaxOpenConns(4)
	db.SetMaxIdleConns(4)
	return &reads{DB: db, spell: func(q string) string { return q }, state: `json_extract(doc, '$.state')`}, nil
}

func dsn(path, mode string, pragmas ...string) string {
	q := url.Values{"mode": {mode}, "_pragma": append([]string{"busy_timeout(5000)"}, pragmas...), "_txlock": {"immediate"}}
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + q.Encode()
}

func migrateSQLite(ctx context.Context, db *sql.DB, name string) error {
	files, err := fs.Sub(sqliteMigrations, "migrations")
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, db, files, goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return err
	}
	return bringUp(ctx, db, provider, name)
}
