package store_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/store"
	"github.com/jackc/pgx/v5/pgconn"
)

// What trying again may mend is waited for at the start, and nothing else.
func TestAway(t *testing.T) {
	for want, errs := range map[bool][]error{
		true: {
			&net.OpError{Op: "dial", Err: errors.New("connection refused")}, io.ErrUnexpectedEOF, context.DeadlineExceeded,
			driver.ErrBadConn, sql.ErrConnDone, net.ErrClosed, closedUnder(t),
			&pgconn.PgError{Code: "57P03"}, &pgconn.PgError{Code: "53300"}, &pgconn.PgError{Code: "25P03"}, &pgconn.PgError{Code: "40P01"},
		},
		false: {
			&pgconn.PgError{Code: "28P01"}, &pgconn.PgError{Code: "3D000"}, &pgconn.PgError{Code: "42501"}, errors.New("something else"),
			gatekeeper.Errorf(gatekeeper.CodeUnavailable, "ledger.pem is not the key that signs the ledger"), store.ErrInUse,
		},
	} {
		for _, err := range errs {
			err = gatekeeper.Wrap(fmt.Errorf("migrating: %w", err), gatekeeper.CodeUnavailable, "the database cannot be reached")
			if store.Away(err) != want {
				t.Errorf("%v: away is %v", err, !want)
			}
		}
	}
}

// closedUnder is what a connection says that broke off before.
func closedUnder(t *testing.T) error {
	t.Helper()
	near, far := net.Pipe()
	_, _ = near.Close(), far.Close()
	config, err := pgconn.ParseConfig("postgres://gatekeeper@127.0.0.1/db?sslmode=disable")
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgconn.Construct(&pgconn.HijackedConn{Conn: near, Config: config})
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close(t.Context())
	return conn.Ping(t.Context())
}
