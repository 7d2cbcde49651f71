package main

import (
	"os"
	"path/filepath"
)

// secretFile writes a secret where only this user can read it, in a directory
// of its own within dir: the runner empties RUNNER_TEMP when the job ends.
func secretFile(dir, name, value string) (string, error) {
	own, err := os.MkdirTemp(dir, "gatekeeper-") // 0700
	if err != nil {
		return "", err
	}
	path := filepath.Join(own, name)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", err
	}
	if _, err := f.WriteString(value); err != nil {
		_ = f.Close()
		return "", err
	}
	return path, f.Close()
}
