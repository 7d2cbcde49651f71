package sink_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/ledger"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/ledger/sink"
)

func records(lines ...string) []ledger.Record {
	var all []ledger.Record
	for _, l := range lines {
		all = append(all, ledger.Record{ID: l, Type: "vote.counted", Line: []byte(l)})
	}
	return all
}

func read(t *testing.T, path string) string {
	t.Helper()
	body, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// logrotate moves the file away or cuts it, a crash leaves half a line.
func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	send := func(lines ...string) {
		t.Helper()
		if err := (sink.File{Path: path}).Send(t.Context(), records(lines...)); err != nil {
			t.Fatal(err)
		}
	}
	send("one", "two")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	send("three")
	if read(t, path) != "three\n" || read(t, path+".1") != "one\ntwo\n" {
		t.Errorf("moved: %q, %q", read(t, path+".1"), read(t, path))
	}
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	send("four")
	for _, torn := range []string{"fi", strings.Repeat("x", 200<<10)} {
		f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteString(torn); err != nil {
			t.Fatal(err)
		}
		_ = f.Close()
		send("five")
	}
	if read(t, path) != "four\nfive\nfive\n" {
		t.Errorf("torn: %q", read(t, path))
	}
	if err := os.WriteFile(path, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	send("six")
	if read(t, path) != "six\n" {
		t.Errorf("nothing but a torn line: %q", read(t, path))
	}
	if err := (sink.File{Path: filepath.Join(path, "no")}).Send(t.Context(), records("x")); err == nil {
		t.Error("a file that cannot be made took a record")
	}
}
