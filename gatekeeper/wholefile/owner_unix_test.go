//go:build unix

package wholefile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func TestFolderThatIsNotThere(t *testing.T) {
	if err := SyncName(filepath.Join(t.TempDir(), "gone", "key")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

// What an operator allowed its readers stays; without being asked nobody else reads it.
func TestKeepOwner(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	for _, c := range []struct {
		options Options
		mode    fs.FileMode
		owner   uint32
	}{{Options{KeepOwner: true}, 0o640, 12345}, {Options{}, 0o600, 0}} {
		if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Chmod(path, 0o640)); err != nil {
			t.Fatal(err)
		}
		if os.Geteuid() == 0 { // nobody else may give files away
			if err := os.Chown(path, 12345, 12345); err != nil {
				t.Fatal(err)
			}
		} else {
			c.owner = uint32(os.Geteuid())
		}
		if err := Replace(path, []byte("the next"), c.options); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != c.mode || info.Sys().(*syscall.Stat_t).Uid != c.owner {
			t.Errorf("%+v: %v of %d, %v", c.options, info.Mode(), info.Sys().(*syscall.Stat_t).Uid, err)
		}
	}
}
