package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/pressly/goose/v3"
)

// bringUp applies the migrations that the database does not have. They only
// add, so that the version before goes on beside the new one, and can be gone
// back to.
func bringUp(ctx context.Context, db *sql.DB, p *goose.Provider, name string) error {
	if err := usable(ctx, db, p, name); err != nil {
		return err
	}
	_, err := p.Up(ctx)
	return err
}

// usable refuses a schema that a newer version made and did not declare fit for
// this one: what it would write there could be wrong without an error.
func usable(ctx context.Context, db *sql.DB, p *goose.Provider, name string) error {
	has, knows, err := p.GetVersions(ctx)
	if err != nil || has <= knows {
		return err
	}
	var undeclared, needs int64
	err = db.QueryRowContext(ctx, fmt.Sprintf(`SELECT
		(SELECT count(*) FROM goose_db_version WHERE version_id > %[1]d AND version_id NOT IN (SELECT version FROM schema_needs)),
		(SELECT coalesce(max(needs), 0) FROM schema_needs WHERE version > %[1]d)`, knows)).Scan(&undeclared, &needs)
	switch {
	case err != nil:
		return err
	case undeclared > 0:
		return newer("database %s has schema %d, which a newer version of the gatekeeper made and does not declare fit for older ones; this version knows %d: start the newer version", name, has, knows)
	case needs > knows:
		return newer("database %s has schema %d, which a newer version of the gatekeeper made; this version knows %d, and %d is the least that can go on: start a version that knows it", name, has, knows, needs)
	}
	return nil
}

func newer(format string, args ...any) error {
	return gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, format, args...)
}

// notUp is why a database could not be brought up to date. What was refused
// on purpose says so itself.
func notUp(err error, format string, name string) error {
	var coded *gatekeeper.Error
	if errors.As(err, &coded) {
		return coded
	}
	return gatekeeper.Wrap(err, gatekeeper.CodeUnavailable, format, name)
}
