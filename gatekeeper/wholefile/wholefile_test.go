package wholefile

import (
	"slices"
	"strings"
	"testing"
)

// ways are what the package does, each with what is there before.
var ways = map[string]struct {
	old   string
	do    func(disk) error
	steps string
}{
	"create": {"", func(d disk) error { return writer{d}.create("dir/key", []byte("the next")) },
		"temp, write, sync, close, link, remove, sync folder"},
	"create what is there": {"the first", func(d disk) error { return writer{d}.create("dir/key", []byte("the next")) },
		"temp, write, sync, close, link, remove, sync folder"},
	"replace": {"the one before", func(d disk) error { return writer{d}.replace("dir/key", []byte("the next"), Options{}) },
		"temp, write, sync, close, rename, sync folder"},
	"replace nothing": {"", func(d disk) error { return writer{d}.replace("dir/key", []byte("the next"), Options{}) },
		"temp, write, sync, close, rename, sync folder"},
	"move": {"the one before", func(d disk) error {
		m := d.(*model)
		next := &inode{m, "the next", true}
		m.names["dir/key.next"], m.durable["dir/key.next"] = next, next
		return writer{d}.move("dir/key.next", "dir/key")
	}, "rename, sync folder"},
}

// The bytes are durable before they have the name, and the name before it is said.
func TestOrder(t *testing.T) {
	for name, way := range ways {
		m := newModel(-1, way.old)
		if err := way.do(m); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := strings.Join(m.steps, ", "); got != way.steps {
			t.Errorf("%s:\n got %s\nwant %s", name, got, way.steps)
		}
	}
}

// Whoever reads after a death at any step finds the old file or the new one.
func TestDeathAtEveryStep(t *testing.T) {
	for name, way := range ways {
		if faults := deaths(way.old, way.do); len(faults) > 0 {
			t.Errorf("%s: %s", name, strings.Join(faults, "; "))
		}
	}
}

// The test above finds each way of doing it wrong.
func TestWrongOrdersAreFound(t *testing.T) {
	body := []byte("the next")
	for name, c := range map[string]struct {
		do   func(disk) error
		want string
	}{
		"bytes not synced": {func(d disk) error {
			f, _ := d.temp("dir")
			_, _ = f.Write(body)
			return writer{d}.move(f.Name(), "dir/key")
		}, "half a file"},
		"bytes synced after the name": {func(d disk) error {
			f, _ := d.temp("dir")
			_, _ = f.Write(body)
			_ = d.rename(f.Name(), "dir/key")
			_ = f.Sync()
			return d.syncFolder("dir")
		}, "half a file"},
		"name not synced": {func(d disk) error {
			temp, _ := writer{d}.beside("dir/key", body, nil)
			return d.rename(temp, "dir/key")
		}, "not durable"},
		"name synced before it is there": {func(d disk) error {
			temp, _ := writer{d}.beside("dir/key", body, nil)
			_ = d.syncFolder("dir")
			return d.rename(temp, "dir/key")
		}, "not durable"},
		"name taken away first": {func(d disk) error {
			temp, _ := writer{d}.beside("dir/key", body, nil)
			_ = d.remove("dir/key")
			return writer{d}.move(temp, "dir/key")
		}, "no file"},
	} {
		if got := strings.Join(deaths("the one before", c.do), "; "); !strings.Contains(got, c.want) {
			t.Errorf("%s: found %q, want %q", name, got, c.want)
		}
	}
}

// deaths are the faults that readers would meet.
func deaths(old string, do func(disk) error) (faults []string) {
	whole := newModel(-1, old)
	_ = do(whole)
	for stop := range len(whole.steps) + 1 {
		m := newModel(stop, old)
		done := do(m) == nil
		for _, machine := range []bool{false, true} {
			for _, read := range m.reads("dir/key", machine) {
				if fault := faultOf(read, old, done && stop == len(whole.steps)); fault != "" {
					faults = append(faults, fault+" after "+strings.Join(m.steps, ", "))
				}
			}
		}
	}
	return slices.Compact(faults)
}

// faultOf judges what is read. Where create came second, the old one stays.
func faultOf(read, old string, done bool) string {
	switch read {
	case "the next.", "the first.":
		return ""
	case "":
		if old != "" {
			return "no file"
		}
	case old + ".":
	default:
		return "half a file"
	}
	if done {
		return "not durable"
	}
	return ""
}
