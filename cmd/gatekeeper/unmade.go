package main

import (
	"errors"
	"io/fs"
	"syscall"
)

// saidWhy is said with the system's reason, for files that could not be made.
func saidWhy(err error) string {
	var system syscall.Errno
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return said(err) + ": its directory is not there"
	case errors.As(err, &system):
		return said(err) + ": " + system.Error()
	}
	return said(err)
}

// placesHint names the settings that decide where the service makes its files,
// when a start failed for such a file.
func placesHint(err error) string {
	var path *fs.PathError
	if !errors.As(err, &path) {
		return "" // a port, say
	}
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.EROFS) {
		return "; database, signing_key_file, ledger_key_file and session_key_file say where its files lie: name a directory that it may write"
	}
	return ""
}
