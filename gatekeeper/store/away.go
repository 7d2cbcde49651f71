package store

import (
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// Away says whether an error means that PostgreSQL does not answer, or says
// itself that it cannot serve yet, so that trying again helps. A password or a
// name that it refuses is no such thing.
func Away(err error) bool {
	var said *pgconn.PgError
	if errors.As(err, &said) { // postgresql.org/docs/current/errcodes-appendix.html
		return strings.HasPrefix(said.Code, "08") || // connection exceptions
			strings.HasPrefix(said.Code, "53") || // disk full, out of memory, too many connections
			strings.HasPrefix(said.Code, "57P") || // shutting down, starting up, crashed
			strings.HasPrefix(said.Code, "58") || // input and output
			strings.HasPrefix(said.Code, "40") || // rolled back for others' sake
			slices.Contains([]string{
				"25006",          // read only: a standby that takes over soon
				"25P03", "57014", // too slow, by the limits that we set ourselves
				"55P03", // another replica has the lock for long
			}, said.Code)
	}
	var network net.Error
	return errors.As(err, &network) || pgconn.SafeToRetry(err) || slices.ContainsFunc(brokenOff(), func(e error) bool { return errors.Is(err, e) })
}

// brokenOff is how a connection ends under a statement, in the words of each
// layer.
func brokenOff() []error {
	return []error{io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, driver.ErrBadConn, sql.ErrConnDone}
}
