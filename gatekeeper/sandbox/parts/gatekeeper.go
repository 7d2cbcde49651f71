package parts

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// built is the real program, built once for all tests of a package.
var built struct {
	sync.Once
	dir string
	err error
}

// Gatekeeper is the path of the real program, built from the tree. TestMain
// calls Tidy once the tests ran.
func Gatekeeper(t testing.TB) string {
	t.Helper()
	built.Do(build)
	if built.err != nil {
		t.Fatal(built.err)
	}
	return filepath.Join(built.dir, "gatekeeper")
}

func build() {
	if built.dir, built.err = os.MkdirTemp("", "gatekeeper-test-"); built.err != nil {
		return
	}
	if out, err := exec.Command("go", "build", "-o", built.dir, "github.com/gatekeeper-ci/gatekeeper/cmd/gatekeeper").CombinedOutput(); err != nil {
		built.err = fmt.Errorf("%w\n%s", err, out)
	}
}

// Tidy takes away what Gatekeeper built, if anything.
func Tidy() { _ = os.RemoveAll(built.dir) }
