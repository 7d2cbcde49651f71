package wholefile

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
)

// stopping is the real disk, with something that happens before each step.
type stopping struct {
	system
	before func(step string) error
}

type stoppingFile struct {
	*os.File
	before func(step string) error
}

func (s stopping) temp(folder string) (file, error) {
	if err := s.before("temp"); err != nil {
		return nil, err
	}
	f, err := s.system.temp(folder)
	if err != nil {
		return nil, err
	}
	return stoppingFile{f.(*os.File), s.before}, nil
}

func (s stopping) link(from, to string) error {
	return first(s.before("link"), func() error { return s.system.link(from, to) })
}

func (s stopping) rename(from, to string) error {
	return first(s.before("rename"), func() error { return s.system.rename(from, to) })
}

func (s stopping) remove(path string) error {
	return first(s.before("remove"), func() error { return s.system.remove(path) })
}

func (s stopping) syncFolder(folder string) error {
	return first(s.before("sync folder"), func() error { return s.system.syncFolder(folder) })
}

func (f stoppingFile) Write(body []byte) (n int, err error) {
	return n, first(f.before("write"), func() error { n, err = f.File.Write(body); return err })
}

func (f stoppingFile) Sync() error  { return first(f.before("sync"), f.File.Sync) }
func (f stoppingFile) Close() error { return errors.Join(f.before("close"), f.File.Close()) }

func first(err error, then func() error) error {
	if err != nil {
		return err
	}
	return then()
}

// real are the ways over the real disk.
var real = map[string]func(writer, string) error{
	"create": func(w writer, path string) error { return w.create(path, []byte("the next")) },
	"replace": func(w writer, path string) error {
		return w.replace(path, []byte("the next"), Options{KeepOwner: true})
	},
}

// TestMain is also the process that kills itself at a step.
func TestMain(m *testing.M) {
	if way := os.Getenv("WHOLEFILE_WAY"); way != "" {
		left, _ := strconv.Atoi(os.Getenv("WHOLEFILE_STOP"))
		os.Exit(dying(way, os.Getenv("WHOLEFILE_PATH"), left))
	}
	os.Exit(m.Run())
}

func dying(way, path string, left int) int {
	err := real[way](writer{stopping{before: func(string) error {
		if left--; left >= 0 {
			return nil
		}
		self, _ := os.FindProcess(os.Getpid())
		_ = self.Kill()
		select {} // until it is dead
	}}}, path)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// Killed before each step: the old file or the new one is there, and the next
// try succeeds.
func TestKilledBetweenSteps(t *testing.T) {
	for name, way := range real {
		kills := 0
		for stop, alive := 0, false; !alive; stop++ {
			path := filepath.Join(t.TempDir(), "key")
			old := ""
			if name == "replace" {
				old = "the one before"
				if err := os.WriteFile(path, []byte(old), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			cmd := exec.CommandContext(t.Context(), os.Args[0])
			cmd.Env = append(os.Environ(), "WHOLEFILE_WAY="+name, "WHOLEFILE_PATH="+path, "WHOLEFILE_STOP="+strconv.Itoa(stop))
			alive = cmd.Run() == nil
			if !alive {
				kills++
			}
			body, err := os.ReadFile(path)
			if got := string(body); got != "the next" && (alive || got != old || (err != nil) != (old == "")) {
				t.Errorf("%s, killed before step %d: %q, %v", name, stop, got, err)
			}
			if err := way(writer{system{}}, path); err != nil {
				t.Errorf("%s after a death before step %d: %v", name, stop, err)
			}
			if body, _ := os.ReadFile(path); string(body) != "the next" {
				t.Errorf("%s after a death before step %d: %q", name, stop, body)
			}
		}
		if kills < 6 {
			t.Errorf("%s: killed %d times", name, kills)
		}
	}
}

// A step that fails is told, and nothing is left lying about.
func TestFailedSteps(t *testing.T) {
	full := errors.New("the disk is full")
	for name, way := range real {
		for _, failing := range []string{"temp", "write", "sync", "close", "link", "rename", "sync folder"} {
			path, reached := filepath.Join(t.TempDir(), "key"), false
			err := way(writer{stopping{before: func(step string) error {
				if step == failing {
					reached = true
					return full
				}
				return nil
			}}}, path)
			if errors.Is(err, full) != reached {
				t.Errorf("%s, %s fails: %v", name, failing, err)
			}
			entries, _ := os.ReadDir(filepath.Dir(path))
			if there := !reached || failing == "sync folder"; len(entries) > 1 || (len(entries) == 1) != there {
				t.Errorf("%s, %s fails: %v is left", name, failing, entries)
			}
		}
	}
}

// Of many at once the first creates, and stays; who reads meanwhile finds one of
// them whole.
func TestTogether(t *testing.T) {
	for name, way := range map[string]func(string, []byte) error{
		"create":  Create,
		"replace": func(path string, body []byte) error { return Replace(path, body, Options{}) },
	} {
		path := filepath.Join(t.TempDir(), "key")
		var writers, readers sync.WaitGroup
		done, seen := make(chan struct{}), map[byte]bool{}
		readers.Go(func() {
			for running := true; running; {
				select {
				case <-done:
					running = false // and once more
				default:
				}
				body, err := os.ReadFile(path)
				if errors.Is(err, fs.ErrNotExist) && running {
					continue
				}
				if err != nil || len(body) != 256<<10 || len(bytes.Trim(body, string(body[:1]))) > 0 {
					t.Errorf("%s: %d bytes, not of one writer, %v", name, len(body), err)
					return
				}
				seen[body[0]] = true
			}
		})
		for n := range 8 {
			writers.Go(func() {
				if err := way(path, bytes.Repeat([]byte{'a' + byte(n)}, 256<<10)); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			})
		}
		writers.Wait()
		close(done)
		readers.Wait()
		if name == "create" && len(seen) > 1 {
			t.Errorf("%d writers were first", len(seen))
		}
	}
}

func TestFoldersAreSynced(t *testing.T) {
	if err := SyncName(filepath.Join(t.TempDir(), "key")); err != nil {
		t.Error(err)
	}
}
