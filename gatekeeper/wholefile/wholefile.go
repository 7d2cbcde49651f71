// Package wholefile puts files in place whole or not at all: whoever reads one
// finds what was there before or what is there now, also after the process or
// the machine died in between. What was put in place stays when it returns.
//
// A file's bytes and its name are made durable apart (fsync(2): "Calling
// fsync() does not necessarily ensure that the entry in the directory
// containing the file has also reached disk"), so both are.
package wholefile

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Create puts a file in place for its owner alone, and leaves what is there
// already: link(2) refuses a name that is taken, so of two processes the first
// wins and neither reads half a file. Who has to know what is there reads it.
func Create(path string, body []byte) error { return writer{system{}}.create(path, body) }

// Options of Replace.
type Options struct {
	// KeepOwner: owner, group and mode are those of the file before, since a
	// process of another user has to read it. Otherwise it is the caller's alone.
	KeepOwner bool
}

// Replace puts a file in the place of the one before, if there is one.
func Replace(path string, body []byte, o Options) error {
	return writer{system{}}.replace(path, body, o)
}

// Move puts a file that Create made in the place of another.
func Move(next, path string) error { return writer{system{}}.move(next, path) }

// SyncName makes the name of a file durable that was made in another way.
func SyncName(path string) error { return system{}.syncFolder(filepath.Dir(path)) }

// writer asks a disk in the order that keeps the promise.
type writer struct{ disk }

// disk is what is asked of the system. Tests stop it at each step.
type disk interface {
	temp(folder string) (file, error) // for its owner alone
	link(from, to string) error
	rename(from, to string) error
	remove(path string) error
	syncFolder(folder string) error
}

// file is a file before it has its name.
type file interface {
	io.WriteCloser
	Name() string
	Sync() error
	Chown(uid, gid int) error
	Chmod(fs.FileMode) error
}

func (w writer) create(path string, body []byte) error {
	temp, err := w.beside(path, body, nil)
	if err != nil {
		return err
	}
	err = w.link(temp, path)
	_ = w.remove(temp) // it is a leftover either way
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return w.syncFolder(filepath.Dir(path)) // who was first may not have come to it yet
}

func (w writer) replace(path string, body []byte, o Options) error {
	var like fs.FileInfo
	if o.KeepOwner {
		var err error
		if like, err = os.Stat(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	temp, err := w.beside(path, body, like)
	if err != nil {
		return err
	}
	if err := w.move(temp, path); err != nil {
		_ = w.remove(temp) // gone already when only its name is not durable
		return err
	}
	return nil
}

func (w writer) move(next, path string) error {
	if err := w.rename(next, path); err != nil {
		return err
	}
	return w.syncFolder(filepath.Dir(path))
}

// beside writes a durable file in the folder of path, for only within one file
// system can it be put in place in one step.
func (w writer) beside(path string, body []byte, like fs.FileInfo) (string, error) {
	f, err := w.temp(filepath.Dir(path))
	if err != nil {
		return "", err
	}
	_, err = f.Write(body)
	if err == nil && like != nil {
		err = keepOwner(f, like)
	}
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		_ = w.remove(f.Name())
		return "", err
	}
	return f.Name(), nil
}
