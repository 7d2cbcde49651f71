package main

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A short form of the load, against the real binary: everything that is asked
// for is answered.
func TestLoad(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "gatekeeper")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "../gatekeeper").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var out bytes.Buffer
	if err := run(t.Context(), []string{"--binary", binary, "--runs", "300", "--waiting", "200", "--clicks", "20"}, &out); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	for _, want := range []string{"open a request", "click to the waiting step", "redeem", "KiB more for each waiting step", "up to"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the table lacks %q", want)
		}
	}
	t.Log("\n" + out.String())
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{{"--clicks", "10", "--waiting", "5"}, {"--waiting", "10", "--runs", "5"}, {"--workers", "0"}, {"--nope"}} {
		if _, err := parse(args); err == nil {
			t.Errorf("%v was taken", args)
		}
	}
}
