package postgres

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/parts"
)

// fakeClock is the environment of a server whose clock SetClock sets.
func (s *Server) fakeClock(t testing.TB) {
	t.Helper()
	found, _ := filepath.Glob("/usr/lib/*/faketime/libfaketime.so.1")
	if len(found) == 0 {
		parts.Missing(t, "no libfaketime here: apt-get install faketime")
	}
	// Read anew for each look at the clock; timers go by the true one.
	s.env = append(s.env, "LD_PRELOAD="+found[0], "FAKETIME_TIMESTAMP_FILE="+s.clockFile(), "FAKETIME_NO_CACHE=1", "FAKETIME_DONT_FAKE_MONOTONIC=1")
	s.SetClock(0)
}

func (s *Server) clockFile() string { return filepath.Join(s.dir, "clock") }

// SetClock makes the server's clock that far ahead of the true one, or behind
// it. Options.Clock has to be set.
func (s *Server) SetClock(ahead time.Duration) {
	s.t.Helper()
	next := s.clockFile() + ".next"
	if err := os.WriteFile(next, fmt.Appendf(nil, "%+d\n", int64(ahead.Seconds())), 0o644); err != nil { //nolint:gosec // the server's account reads it
		s.t.Fatal(err)
	}
	if err := os.Rename(next, s.clockFile()); err != nil {
		s.t.Fatal(err)
	}
}
