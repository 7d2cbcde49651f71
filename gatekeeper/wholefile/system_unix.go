//go:build unix

package wholefile

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// syncFolder makes the names in a folder durable. EINVAL and ENOTSUP come from
// file systems that sync no folders (fsync(2): "fd is bound to a special file
// which does not support synchronization"): there is nothing to be done.
func (system) syncFolder(folder string) error {
	f, err := os.Open(folder)
	if err != nil {
		return err
	}
	err = f.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, errors.ErrUnsupported) {
		err = nil
	}
	return errors.Join(err, f.Close())
}

// keepOwner gives a file the owner, group and mode of another.
func keepOwner(f file, like fs.FileInfo) error {
	if st, ok := like.Sys().(*syscall.Stat_t); ok && (int(st.Uid) != os.Geteuid() || int(st.Gid) != os.Getegid()) {
		if err := f.Chown(int(st.Uid), int(st.Gid)); err != nil {
			return err
		}
	}
	return f.Chmod(like.Mode().Perm())
}
