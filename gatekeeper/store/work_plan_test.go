package store

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

type noLedger struct{}

func (noLedger) Append(int64, func([]int64) ([][32]byte, error), [][]byte) ([][32]byte, []byte, error) {
	return nil, nil, gatekeeper.Errorf(gatekeeper.CodeInternal, "nothing is appended here")
}

// Looking for work costs the same however much of it waits for later.
func TestWorkIsFoundByIndex(t *testing.T) {
	s, err := Open(t.Context(), Options{Path: filepath.Join(t.TempDir(), "g.db"), Ledger: noLedger{}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for query, args := range map[string][]any{dueWork: {1, 1, 1, 1, 1}, nextWork: nil} {
		rows, err := s.read.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+query, args...)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		searches := 0
		for rows.Next() {
			var id, parent, unused int
			var detail string
			if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(detail, "work") {
				searches++
				if !strings.HasPrefix(detail, "SEARCH work USING") || strings.Contains(detail, "PRIMARY KEY") {
					t.Errorf("%s\n%s", query, detail)
				}
			}
		}
		if err := rows.Err(); err != nil || searches != 2 {
			t.Errorf("%d searches, %v", searches, err)
		}
	}
}
