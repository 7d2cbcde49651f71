//go:build !unix

package store

import "os"

// lockFile relies on the file being gone while nobody serves: systems without
// flock refuse to open what another process made exclusively.
func lockFile(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	return func() { _ = f.Close(); _ = os.Remove(path) }, nil
}
