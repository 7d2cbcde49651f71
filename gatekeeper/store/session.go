package store

import (
	"context"
	"database/sql"
	"strings"
	"time"
)

// session is the one connection that a process writes on. Statements are
// written with ? for each value. An exec may be sent together with what comes
// after it: its error is then that one's, and fails the transaction all the
// same.
type session interface {
	// begin also asks: each ask has its answer, or its error, afterwards.
	begin(ctx context.Context, asks []*ask) (now time.Time, err error)
	exec(ctx context.Context, query string, args ...any) error
	affected(ctx context.Context, query string, args ...any) (int64, error)
	row(ctx context.Context, query string, args ...any) scanner
	rows(ctx context.Context, query string, args []any, visit func(scanner) error) error
	// insert adds rows to a table of the ledger, many at once.
	insert(ctx context.Context, table string, columns []string, rows [][]any) error
	// commit also tells other processes which requests changed, and that
	// there is work.
	commit(ctx context.Context, changed []string, worked bool) error
	rollback(ctx context.Context) error
	close()
}

type scanner interface{ Scan(dest ...any) error }

type failed struct{ err error }

func (f failed) Scan(...any) error { return f.err }

// sqliteSession keeps each statement for the life of its connection.
type sqliteSession struct {
	db   *sql.DB
	conn *sql.Conn
	stmt map[string]*sql.Stmt
}

func (s *sqliteSession) begin(ctx context.Context, asks []*ask) (time.Time, error) {
	if s.conn == nil {
		conn, err := s.db.Conn(ctx)
		if err != nil {
			return time.Time{}, err
		}
		s.conn = conn
	}
	if err := s.exec(ctx, `BEGIN IMMEDIATE`); err != nil {
		return time.Time{}, err
	}
	var seconds float64
	err := s.row(ctx, `SELECT unixepoch('subsec')`).Scan(&seconds)
	for _, a := range asks {
		a.err = a.scan(s.row(ctx, a.query, a.args...))
	}
	return time.UnixMilli(int64(seconds * 1000)).UTC(), err
}

func (s *sqliteSession) exec(ctx context.Context, query string, args ...any) error {
	_, err := s.result(ctx, query, args...)
	return err
}

func (s *sqliteSession) affected(ctx context.Context, query string, args ...any) (int64, error) {
	done, err := s.result(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return done.RowsAffected()
}

func (s *sqliteSession) result(ctx context.Context, query string, args ...any) (sql.Result, error) {
	st, err := s.prepare(ctx, query)
	if err != nil {
		return nil, err
	}
	return st.ExecContext(ctx, args...)
}

func (s *sqliteSession) row(ctx context.Context, query string, args ...any) scanner {
	st, err := s.prepare(ctx, query)
	if err != nil {
		return failed{err}
	}
	return st.QueryRowContext(ctx, args...)
}

func (s *sqliteSession) rows(ctx context.Context, query string, args []any, visit func(scanner) error) error {
	st, err := s.prepare(ctx, query)
	if err != nil {
		return err
	}
	rows, err := st.QueryContext(ctx, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := visit(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (s *sqliteSession) prepare(ctx context.Context, query string) (*sql.Stmt, error) {
	if st, ok := s.stmt[query]; ok {
		return st, nil
	}
	if s.conn == nil {
		return nil, sql.ErrConnDone
	}
	st, err := s.conn.PrepareContext(ctx, query)
	if err == nil {
		s.stmt[query] = st
	}
	return st, err
}

func (s *sqliteSession) insert(ctx context.Context, table string, columns []string, rows [][]any) error {
	query := `INSERT INTO ` + table + ` (` + strings.Join(columns, ", ") + `) VALUES (?` + strings.Repeat(", ?", len(columns)-1) + `)` //nolint:gosec // our own names
	for _, row := range rows {
		if err := s.exec(ctx, query, row...); err != nil {
			return err
		}
	}
	return nil
}

func (s *sqliteSession) commit(ctx context.Context, _ []string, _ bool) error {
	return s.exec(ctx, `COMMIT`)
}

func (s *sqliteSession) rollback(ctx context.Context) error { return s.exec(ctx, `ROLLBACK`) }

func (s *sqliteSession) close() {
	if s.conn != nil {
		_ = s.conn.Close()
	}
	_ = s.db.Close()
}
