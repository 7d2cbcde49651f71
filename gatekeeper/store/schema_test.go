package store_test

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/postgres"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/store"
)

// After a newer version was there, this one serves if that one's migrations
// say that it may, and refuses clearly otherwise.
func TestNewerSchema(t *testing.T) {
	pg := postgres.Start(t, postgres.Options{})
	for name, at := range map[string]struct {
		driver string
		make   func() string
	}{
		"sqlite":   {"sqlite", func() string { return filepath.Join(t.TempDir(), "g.db") }},
		"postgres": {"pgx", pg.Database},
	} {
		for what, c := range map[string]struct{ declared, refused string }{
			"declared fit":     {"INSERT INTO schema_needs (version, needs) VALUES (999, 1)", ""},
			"declared unfit":   {"INSERT INTO schema_needs (version, needs) VALUES (999, 998)", "998 is the least"},
			"undeclared":       {"SELECT 1", "does not declare"},
			"half declared":    {"INSERT INTO goose_db_version (version_id, is_applied) VALUES (1000, APPLIED); INSERT INTO schema_needs (version, needs) VALUES (1000, 1)", "does not declare"},
			"an older's word":  {"INSERT INTO schema_needs (version, needs) VALUES (998, 1)", "does not declare"},
			"of another world": {"DROP TABLE schema_needs", "schema_needs"},
		} {
			t.Run(name+"/"+what, func(t *testing.T) {
				path := at.make()
				afterNewer(t, at.driver, path, c.declared)
				s, err := store.Open(t.Context(), store.Options{Path: path, Ledger: signer(t)})
				if err == nil {
					defer s.Close()
				}
				if c.refused == "" && err != nil || c.refused != "" && (err == nil || !strings.Contains(fmt.Sprint(err), c.refused)) {
					t.Errorf("got %v, want %q", err, c.refused)
				}
				if strings.HasPrefix(what, "declared un") && gatekeeper.CodeOf(err) != gatekeeper.CodeInvalidRequest {
					t.Errorf("it looks as if trying again could help: %v", err)
				}
			})
		}
	}
}

// afterNewer makes the database as this version does, and then does what a
// migration of a newer version would.
func afterNewer(t *testing.T, driver, path, declared string) {
	t.Helper()
	s, err := store.Open(t.Context(), store.Options{Path: path, Ledger: signer(t)})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open(driver, path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	applied := "true"
	if driver == "sqlite" {
		applied = "1"
	}
	for _, do := range []string{"INSERT INTO goose_db_version (version_id, is_applied) VALUES (999, " + applied + ")", strings.ReplaceAll(declared, "APPLIED", applied)} {
		if _, err := db.ExecContext(t.Context(), do); err != nil {
			t.Fatal(err)
		}
	}
}
