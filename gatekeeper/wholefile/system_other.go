//go:build !unix

package wholefile

import "io/fs"

// syncFolder has nothing to do: FlushFileBuffers takes no folder that was
// opened for reading, and NTFS keeps a journal of names.
func (system) syncFolder(string) error { return nil }

// keepOwner has nothing to do: files inherit their folder's rights.
func keepOwner(file, fs.FileInfo) error { return nil }
