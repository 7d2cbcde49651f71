package wholefile

import (
	"errors"
	"io/fs"
	"maps"
	"slices"
)

var errDead = errors.New("dead")

// model is a disk that dies: before a step of our choice, and nothing that is
// asked after it is done. It knows what of it would outlast the machine.
type model struct {
	stop    int // the step that is not reached any more; -1: none
	steps   []string
	names   map[string]*inode // as readers see them
	durable map[string]*inode
	pending []func(map[string]*inode) // changes of names since the last sync
}

// inode is a file without its name.
type inode struct {
	*model
	body   string
	synced bool
}

func newModel(stop int, old string) *model {
	m := &model{stop: stop, names: map[string]*inode{}}
	if old != "" {
		m.names["dir/key"] = &inode{m, old, true}
	}
	m.durable = maps.Clone(m.names)
	return m
}

func (m *model) step(name string) error {
	if m.stop >= 0 && len(m.steps) >= m.stop {
		return errDead
	}
	m.steps = append(m.steps, name)
	return nil
}

// name changes what readers see at once, and what outlasts the machine at some
// time, or never.
func (m *model) name(step string, change func(map[string]*inode)) error {
	if err := m.step(step); err != nil {
		return err
	}
	change(m.names)
	m.pending = append(m.pending, change)
	return nil
}

func (m *model) temp(string) (file, error) {
	i := &inode{model: m}
	return i, m.name("temp", func(names map[string]*inode) { names["dir/.new-1"] = i })
}

func (m *model) link(from, to string) error {
	if m.names[to] != nil {
		return errors.Join(m.step("link"), fs.ErrExist)
	}
	i := m.names[from]
	return m.name("link", func(names map[string]*inode) { names[to] = i })
}

func (m *model) rename(from, to string) error {
	i := m.names[from]
	return m.name("rename", func(names map[string]*inode) { names[to] = i; delete(names, from) })
}

func (m *model) remove(path string) error {
	return m.name("remove", func(names map[string]*inode) { delete(names, path) })
}

func (m *model) syncFolder(string) error {
	if err := m.step("sync folder"); err != nil {
		return err
	}
	m.durable, m.pending = maps.Clone(m.names), nil
	return nil
}

func (i *inode) Write(body []byte) (int, error) {
	if err := i.step("write"); err != nil {
		return 0, err
	}
	i.body, i.synced = i.body+string(body), false
	return len(body), nil
}

func (i *inode) Sync() error {
	if err := i.step("sync"); err != nil {
		return err
	}
	i.synced = true
	return nil
}

func (i *inode) Close() error          { return i.step("close") }
func (*inode) Name() string            { return "dir/.new-1" }
func (*inode) Chown(int, int) error    { return nil }
func (*inode) Chmod(fs.FileMode) error { return nil }

// reads are all that a reader can find under a name when the process has died,
// or with it the machine: any of the pending names may have reached the disk,
// and any part of bytes that were not synced. "" is no file.
func (m *model) reads(path string, machine bool) []string {
	if !machine {
		return bodies(m.names[path], false)
	}
	var all []string
	for set := range 1 << len(m.pending) {
		names := maps.Clone(m.durable)
		for n, change := range m.pending {
			if set>>n&1 == 1 {
				change(names)
			}
		}
		all = append(all, bodies(names[path], true)...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func bodies(i *inode, machine bool) []string {
	switch {
	case i == nil:
		return []string{""}
	case i.synced || !machine:
		return []string{i.body + "."} // so that an empty file is told from none
	}
	return []string{".", i.body[:len(i.body)/2] + ".", i.body + "."}
}
