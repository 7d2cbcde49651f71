package store

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/jackc/pgx/v5"
)

// table is what is moved, with its columns in one order for both databases.
type table struct {
	name    string
	columns []string
}

// tables are all but the migrations' own.
func tables() []table {
	return []table{
		{"requests", []string{"id", "binding", "repository", "environment", "rule", "state", "version", "created_at", "doc"}},
		{"tokens", []string{"key", "hash", "expires"}},
		{"work", []string{"kind", "key", "payload", "run_at", "generation", "attempts", "last_error"}},
		{"notes", []string{"kind", "key", "value"}},
		{"ledger_events", []string{"idx", "id", "type", "request", "time", "body"}},
		{"ledger_hashes", []string{"idx", "hash"}},
		{"ledger_checkpoints", []string{"size", "note"}},
	}
}

// Moved is how many rows of each table were moved, in order.
type Moved struct {
	Table string
	Rows  int64
}

// Move copies a SQLite database that nobody serves from into an empty
// PostgreSQL database, in one transaction: all of it arrives, or nothing.
func Move(ctx context.Context, from, to string, l Ledger) ([]Moved, error) {
	source, err := OpenSQLite(ctx, Options{Path: from, Ledger: l}) // also brings its schema up to date
	if err != nil {
		return nil, err
	}
	defer source.Close() //nolint:errcheck // it was only read
	config, err := postgresConfig(to)
	if err != nil {
		return nil, err
	}
	if err := migratePostgres(ctx, config, Redacted(to)); err != nil {
		return nil, notUp(err, "database %s cannot be reached or brought up to date", Redacted(to))
	}
	config.RuntimeParams["statement_timeout"] = "0" // a large table takes its time
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, unavailable(err)
	}
	defer hangUp(ctx, conn)
	var moved []Moved
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		for _, t := range tables() {
			n, err := t.move(ctx, source.read, tx)
			if err != nil {
				return err
			}
			moved = append(moved, Moved{t.name, n})
		}
		return nil
	})
	return moved, unavailable(err)
}

func (t table) move(ctx context.Context, from *reads, to pgx.Tx) (int64, error) {
	var there int64
	if err := to.QueryRow(ctx, `SELECT count(*) FROM `+t.name).Scan(&there); err != nil {
		return 0, err
	}
	if there > 0 {
		return 0, gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, "the target is not empty: %s has %d rows; give an empty database", t.name, there)
	}
	rows, err := from.QueryContext(ctx, `SELECT `+strings.Join(t.columns, ", ")+` FROM `+t.name+` ORDER BY 1`) //nolint:gosec,rowserrcheck // our own names; copying.Err is asked
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	n, err := to.CopyFrom(ctx, pgx.Identifier{t.name}, t.columns, &copying{rows: rows, width: len(t.columns)})
	if err != nil {
		return 0, fmt.Errorf("moving %s: %w", t.name, err)
	}
	return n, nil
}

// copying hands rows over one by one, however many there are.
type copying struct {
	rows  *sql.Rows
	width int
}

func (c *copying) Next() bool { return c.rows.Next() }

func (c *copying) Values() ([]any, error) {
	values, at := make([]any, c.width), make([]any, c.width)
	for i := range values {
		at[i] = &values[i]
	}
	return values, c.rows.Scan(at...)
}

func (c *copying) Err() error { return c.rows.Err() }
