// Package store keeps requests, the ledger and the work to be done, in one
// durable transaction each.
package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"sync"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // the driver "sqlite"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Ledger makes leaves part of the tree and signs its head; see
// gatekeeper/ledger.Signer. An error records nothing, and so decides nothing.
type Ledger interface {
	Append(size int64, read func(indexes []int64) ([][32]byte, error), leaves [][]byte) (hashes [][32]byte, checkpoint []byte, err error)
}

// Options of a store. Path and Ledger are needed.
type Options struct {
	Path   string // of the database file; made when missing, readable by its owner only
	Ledger Ledger
	Logger *slog.Logger
	Now    func() time.Time // nil: the database's own time
}

// SQLite is the store of one process: WAL, one writer, synchronous=FULL.
// Changes that wait while another is being written are committed together,
// so durability costs one fsync for all of them.
type SQLite struct {
	o      Options
	unlock func()
	write  *sql.DB
	read   *sql.DB
	ops    chan *op
	stop   chan struct{}
	done   chan struct{}
	once   sync.Once

	hub  hub
	wake chan struct{} // there may be work
}

// OpenSQLite opens or makes the database and brings its schema up to date. A
// database that another process serves from is refused.
func OpenSQLite(ctx context.Context, o Options) (*SQLite, error) {
	if o.Ledger == nil {
		return nil, gatekeeper.Errorf(gatekeeper.CodeInternal, "the store needs a ledger: what cannot be recorded does not happen")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	unlock, err := lockFile(o.Path + ".lock")
	if err != nil {
		return nil, gatekeeper.Wrap(errors.Join(ErrInUse, err), gatekeeper.CodeUnavailable, "database %s is in use by another process; SQLite serves one, use postgres: for several replicas", o.Path)
	}
	s := &SQLite{o: o, unlock: unlock, ops: make(chan *op, 4096), stop: make(chan struct{}), done: make(chan struct{}), wake: make(chan struct{}, 1)}
	if err := s.open(ctx); err != nil {
		s.closeFiles()
		return nil, err
	}
	w, err := newWriter(ctx, s)
	if err != nil {
		s.closeFiles()
		return nil, unavailable(err)
	}
	go w.run()
	return s, nil
}

func (s *SQLite) open(ctx context.Context) error {
	if err := private(s.o.Path); err != nil {
		return gatekeeper.Wrap(err, gatekeeper.CodeUnavailable, "database %s cannot be made or read", s.o.Path)
	}
	var err error
	if s.write, err = sql.Open("sqlite", dsn(s.o.Path, "rwc", "synchronous(FULL)", "journal_mode(WAL)", "foreign_keys(ON)", "secure_delete(ON)")); err != nil {
		return unavailable(err)
	}
	s.write.SetMaxOpenConns(1)
	if err := migrate(ctx, s.write); err != nil {
		return gatekeeper.Wrap(err, gatekeeper.CodeUnavailable, "database %s cannot be brought up to date", s.o.Path)
	}
	// Whoever held leases on work is gone: this process has the lock.
	if _, err := s.write.ExecContext(ctx, `UPDATE work SET leased = 0, run_at = 0 WHERE leased = 1`); err != nil {
		return unavailable(err)
	}
	s.read, err = openReader(s.o.Path)
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

func openReader(path string) (*sql.DB, error) {
	db, err := sql.Open("sqlite", dsn(path, "ro", "query_only(ON)"))
	if err != nil {
		return nil, unavailable(err)
	}
	db.SetMaxOpenConns(4)
	db.SetMaxIdleConns(4)
	return db, nil
}

func dsn(path, mode string, pragmas ...string) string {
	q := url.Values{"mode": {mode}, "_pragma": append([]string{"busy_timeout(5000)"}, pragmas...), "_txlock": {"immediate"}}
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + q.Encode()
}

func migrate(ctx context.Context, db *sql.DB) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, db, files, goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return err
	}
	_, err = provider.Up(ctx)
	return err
}

// Ping says whether the database can still be written to.
func (s *SQLite) Ping(ctx context.Context) error {
	return s.do(ctx, func(*tx) (gatekeeper.Change, error) { return gatekeeper.Change{}, nil })
}

// Close finishes what is being written and lets the database go.
func (s *SQLite) Close() error {
	s.once.Do(func() {
		close(s.stop)
		<-s.done
		s.closeFiles()
	})
	return nil
}

func (s *SQLite) closeFiles() {
	var err error
	for _, db := range []*sql.DB{s.read, s.write} {
		if db != nil {
			err = errors.Join(err, db.Close())
		}
	}
	if err != nil {
		s.o.Logger.Warn("closing the database", "error", err)
	}
	s.unlock()
}

// unavailable is what every failure of the database means to a caller: nothing
// was half done, and it may go well again.
func unavailable(err error) error {
	var coded *gatekeeper.Error
	if err == nil || errors.As(err, &coded) {
		return err
	}
	return &gatekeeper.Error{Code: gatekeeper.CodeUnavailable, RetryAfter: time.Second, Err: err,
		Description: "storage is out of reach; nothing was changed, try again"}
}
