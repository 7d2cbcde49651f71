package wholefile

import "os"

// system is the machine's own disk.
type system struct{}

func (system) temp(folder string) (file, error) {
	f, err := os.CreateTemp(folder, ".new-*") // mode 0600
	if err != nil {
		return nil, err // not f, which would be no nil as a file
	}
	return f, nil
}

func (system) link(from, to string) error   { return os.Link(from, to) }
func (system) rename(from, to string) error { return os.Rename(from, to) }
func (system) remove(path string) error     { return os.Remove(path) }
