package store

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
)

// writersTurn is the advisory lock that writers take in turn; the number means
// nothing but that it is ours.
const writersTurn = 7141592653

// pgSession sends statements that nobody waits for together with the next
// one, so that a change costs few round trips. It connects again when the
// connection broke.
type pgSession struct {
	config  *pgx.ConnConfig
	number  *atomic.Uint32 // of the connection
	conn    *pgx.Conn
	pending *pgx.Batch
	spelled map[string]string
}

func (s *pgSession) begin(ctx context.Context, asks []*ask) (time.Time, error) {
	if s.conn == nil || s.conn.IsClosed() {
		conn, err := pgx.ConnectConfig(ctx, s.config)
		if err != nil {
			return time.Time{}, err
		}
		s.conn, s.pending = conn, &pgx.Batch{}
		s.number.Store(conn.PgConn().PID())
	}
	s.pending.Queue(`BEGIN`)
	s.pending.Queue(`SELECT pg_advisory_xact_lock($1)`, int64(writersTurn))
	// After the lock: the time is that of our turn, and so grows from one
	// replica's change to the next one's.
	var micros int64
	clock := &ask{query: `SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint`, scan: func(row scanner) error { return row.Scan(&micros) }}
	err := s.answer(ctx, append([]*ask{clock}, asks...))
	return time.UnixMicro(micros).UTC(), errors.Join(err, clock.err)
}

// answer sends what is pending and then all that is asked, in one round trip.
func (s *pgSession) answer(ctx context.Context, asks []*ask) error {
	for _, a := range asks {
		s.pending.Queue(s.spell(a.query), a.args...)
	}
	results, n := s.send(ctx)
	for range n - len(asks) {
		if _, err := results.Exec(); err != nil {
			return errors.Join(err, results.Close())
		}
	}
	for _, a := range asks {
		rows, err := results.Query()
		if err != nil {
			return errors.Join(err, results.Close())
		}
		if a.err = pgx.ErrNoRows; rows.Next() {
			a.err = a.scan(rows)
		}
		rows.Close()
		if err := rows.Err(); err != nil {
			return errors.Join(err, results.Close())
		}
	}
	return results.Close()
}

func (s *pgSession) spell(query string) string {
	if s.spelled == nil {
		s.spelled = map[string]string{}
	}
	if _, ok := s.spelled[query]; !ok {
		s.spelled[query] = numbered(query)
	}
	return s.spelled[query]
}

// mostPending bounds what is sent at once.
const mostPending = 500

func (s *pgSession) exec(ctx context.Context, query string, args ...any) error {
	s.pending.Queue(s.spell(query), args...)
	if s.pending.Len() < mostPending {
		return nil
	}
	_, err := s.flush(ctx)
	return err
}

// flush sends what is pending and gives the last command's tag.
func (s *pgSession) flush(ctx context.Context) (tag string, err error) {
	results, n := s.send(ctx)
	for range n {
		done, err := results.Exec()
		if err != nil {
			return "", errors.Join(err, results.Close())
		}
		tag = done.String()
	}
	return tag, results.Close()
}

func (s *pgSession) send(ctx context.Context) (pgx.BatchResults, int) {
	batch := s.pending
	s.pending = &pgx.Batch{}
	return s.conn.SendBatch(ctx, batch), batch.Len()
}

func (s *pgSession) affected(ctx context.Context, query string, args ...any) (int64, error) {
	s.pending.Queue(s.spell(query), args...)
	results, n := s.send(ctx)
	var affected int64
	for range n {
		done, err := results.Exec()
		if err != nil {
			return 0, errors.Join(err, results.Close())
		}
		affected = done.RowsAffected()
	}
	return affected, results.Close()
}

// pgRow is one row that is asked for when it is read.
type pgRow struct {
	s     *pgSession
	ctx   context.Context
	query string
	args  []any
}

func (s *pgSession) row(ctx context.Context, query string, args ...any) scanner {
	return pgRow{s, ctx, query, args}
}

func (r pgRow) Scan(dest ...any) error {
	a := &ask{query: r.query, args: r.args, scan: func(row scanner) error { return row.Scan(dest...) }}
	if err := r.s.answer(r.ctx, []*ask{a}); err != nil {
		return err
	}
	return a.err
}

func (s *pgSession) rows(ctx context.Context, query string, args []any, visit func(scanner) error) error {
	s.pending.Queue(s.spell(query), args...)
	results, n := s.send(ctx)
	err := s.visit(results, n, visit)
	return errors.Join(err, results.Close())
}

func (s *pgSession) visit(results pgx.BatchResults, n int, visit func(scanner) error) error {
	for range n - 1 {
		if _, err := results.Exec(); err != nil {
			return err
		}
	}
	rows, err := results.Query()
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

// insert adds all rows by one statement, which takes an array for each column.
// COPY would take no fewer bytes, and three round trips of its own.
func (s *pgSession) insert(ctx context.Context, table string, columns []string, rows [][]any) error {
	if len(rows) == 0 {
		return nil
	}
	arrays, types := make([]any, len(columns)), make([]string, len(columns))
	for i := range columns {
		arrays[i], types[i] = column(rows, i)
	}
	return s.exec(ctx, `INSERT INTO `+table+` (`+strings.Join(columns, ", ")+`) SELECT * FROM unnest(?::`+strings.Join(types, `, ?::`)+`)`, arrays...) //nolint:gosec // our own names
}

// column is one of the ledger's: numbers, text or bytes.
func column(rows [][]any, i int) (array any, typ string) {
	switch rows[0][i].(type) {
	case int64:
		return columnOf[int64](rows, i), "bigint[]"
	case string:
		return columnOf[string](rows, i), "text[]"
	}
	return columnOf[[]byte](rows, i), "bytea[]"
}

func columnOf[T any](rows [][]any, i int) []T {
	all := make([]T, len(rows))
	for n, row := range rows {
		all[n], _ = row[i].(T)
	}
	return all
}

func (s *pgSession) commit(ctx context.Context, changed []string, worked bool) error {
	for _, news := range newsOf(changed, worked) {
		s.pending.Queue(`SELECT pg_notify($1, $2)`, newsChannel, news)
	}
	s.pending.Queue(`COMMIT`)
	tag, err := s.flush(ctx)
	if err == nil && tag != "COMMIT" { // a failed transaction is rolled back, without an error
		err = errors.New("store: the database rolled the transaction back")
	}
	return err
}

// rollback gives the connection up when it does not even take that.
func (s *pgSession) rollback(ctx context.Context) error {
	if s.conn == nil {
		return nil
	}
	s.pending = &pgx.Batch{}
	_, err := s.conn.Exec(ctx, `ROLLBACK`)
	if err != nil {
		s.close()
	}
	return err
}

func (s *pgSession) close() {
	if s.conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = s.conn.Close(ctx)
	s.conn = nil
}
