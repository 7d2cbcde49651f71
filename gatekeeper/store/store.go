// Package store keeps requests, the ledger and the work to be done, in one
// durable transaction each.
package store

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// Ledger makes leaves part of the tree and signs its head; see
// gatekeeper/ledger.Signer. An error records nothing, and so decides nothing.
type Ledger interface {
	Append(size int64, read func(indexes []int64) ([][32]byte, error), leaves [][]byte) (hashes [][32]byte, checkpoint []byte, err error)
}

// Follower is a Ledger whose key another replica may have rotated. It is told
// of the last rotation before it appends, and refuses when it has another key.
type Follower interface {
	Follow(rotation []byte) error
}

// Options of a store. Path and Ledger are needed.
type Options struct {
	// Path is a SQLite file, made when missing and readable by its owner only,
	// or the postgres:// URL of a database that several replicas share.
	Path   string
	Ledger Ledger
	Logger *slog.Logger
	Now    func() time.Time // nil: the database's own time
}

// Store is requests, ledger and work in one database. Changes that wait while
// another is being written are committed together, so durability costs one
// flush to disk for all of them. It is safe for concurrent use.
type Store struct {
	o       Options
	session session // the writer's alone
	read    *reads
	release func() // lets go what Open took
	ops     chan *op
	stop    chan struct{}
	done    chan struct{}
	once    sync.Once

	writing atomic.Uint32 // PostgreSQL's number of the writer's connection
	failing atomic.Bool   // the last change was not taken

	lastClaim atomic.Int64 // the database's time at the runner's last look, as unix nanoseconds

	hub  hub
	wake chan struct{} // there may be work
}

// Open opens the database that the path names, and brings its schema up to
// date.
func Open(ctx context.Context, o Options) (*Store, error) {
	if Postgres(o.Path) {
		return OpenPostgres(ctx, o)
	}
	return OpenSQLite(ctx, o)
}

// Postgres says whether a path names a PostgreSQL database.
func Postgres(path string) bool {
	return strings.HasPrefix(path, "postgres://") || strings.HasPrefix(path, "postgresql://")
}

func newStore(o Options) (*Store, error) {
	if o.Ledger == nil {
		return nil, gatekeeper.Errorf(gatekeeper.CodeInternal, "the store needs a ledger: what cannot be recorded does not happen")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Store{o: o, release: func() {}, ops: make(chan *op, 4096), stop: make(chan struct{}), done: make(chan struct{}), wake: make(chan struct{}, 1)}, nil
}

// Shared says whether other processes may write to the database as well.
func (s *Store) Shared() bool { return Postgres(s.o.Path) }

// Close finishes what is being written and lets the database go.
func (s *Store) Close() error {
	s.once.Do(func() {
		close(s.stop)
		<-s.done
		s.closeAll()
	})
	return nil
}

func (s *Store) closeAll() {
	if s.session != nil {
		s.session.close()
	}
	if s.read != nil {
		if err := s.read.Close(); err != nil {
			s.o.Logger.Warn("closing the database", "error", err)
		}
	}
	s.release()
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

// reads is a pool of connections that only read. Queries are written with ?
// for each value, whatever the database calls them.
type reads struct {
	*sql.DB
	spell func(query string) string
	state string // the stored document's state, in the database's words
}

func (r *reads) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return r.DB.QueryContext(ctx, r.spell(query), args...)
}

func (r *reads) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	return r.DB.QueryRowContext(ctx, r.spell(query), args...)
}
