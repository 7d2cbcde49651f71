// Package parts finds or builds the real programs that some tests need, and
// keeps ports for them. It is for tests alone.
package parts

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Find is the path of a program, on PATH or where `go install` puts it.
// install is the command that brings it.
func Find(t testing.TB, name, install string) string {
	t.Helper()
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	if root, err := exec.CommandContext(t.Context(), "go", "env", "GOPATH").Output(); err == nil {
		if path, err := exec.LookPath(filepath.Join(strings.TrimSpace(string(root)), "bin", name)); err == nil {
			return path
		}
	}
	Missing(t, name+" is missing; `"+install+"` installs it")
	return ""
}

// Missing skips the test, and fails it in CI, which was meant to have what it
// needs.
func Missing(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("GATEKEEPER_CI") != "" {
		t.Fatal(why)
	}
	t.Skip(why)
}
