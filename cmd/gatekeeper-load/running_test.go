package main

import (
	"bytes"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/parts"
)

// A gatekeeper that runs already is driven, again and again, and left running.
func TestRunning(t *testing.T) {
	binary, dir, listen, admin := parts.Gatekeeper(t), filepath.Join(t.TempDir(), "load"), parts.Addr(t), parts.Addr(t)
	at := []string{"--url", "http://" + listen, "--admin", "http://" + admin, "--stand-ins", parts.Addrs(t, 3), "--key", filepath.Join(dir, "ci.pem")}
	var said bytes.Buffer
	if err := run(t.Context(), append([]string{"config", "--dir", dir}, at...), &said); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "gatekeeper.yaml")
	if !strings.Contains(said.String(), "serve --config "+config) {
		t.Errorf("it said %s", said.String())
	}
	if out, err := exec.CommandContext(t.Context(), binary, "keys", "init", "--config", config).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	p, err := begin(t.Context(), dir, answers("http://"+admin+"/readyz"), binary, "serve", "--config", config, "--log-level", "warn")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.end)
	for range 2 {
		var out bytes.Buffer
		if err := run(t.Context(), append(at, "--runs", "50", "--waiting", "20", "--clicks", "5"), &out); err != nil {
			t.Fatalf("%v\n%s", err, out.String())
		}
		for _, want := range []string{"open a request", "KiB more for each waiting step", "redeem (stand-in STS included):"} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("it lacks %q\n%s", want, out.String())
			}
		}
		if strings.Contains(out.String(), "memory: 0 MiB") {
			t.Error("its memory is not told")
		}
	}
	if err := run(t.Context(), append([]string{"config", "--dir", dir}, at...), io.Discard); err == nil || !strings.Contains(err.Error(), "is there already") {
		t.Errorf("a configuration was overwritten: %v", err)
	}
}

// What people use is not driven by mistake.
func TestNotDriven(t *testing.T) {
	key := filepath.Join(t.TempDir(), "ci.pem")
	for want, args := range map[string][]string{
		"not on loopback":             {"--url", "https://gatekeeper.example.com", "--stand-ins", "127.0.0.1:7300"},
		"is no URL":                   {"--url", "gatekeeper"},
		"needs --stand-ins and --key": {"--url", "http://127.0.0.1:1"},
		"no host:port on loopback":    {"--url", "http://127.0.0.1:1", "--stand-ins", "10.0.0.1:7300", "--key", key},
		"a database of our own":       {"--url", "http://127.0.0.1:1", "--stand-ins", "127.0.0.1:7300", "--key", key, "--history", "5"},
		"no gatekeeper is ready at":   {"--url", "http://127.0.0.1:1", "--admin", "http://127.0.0.1:1", "--stand-ins", parts.Addrs(t, 3), "--key", key},
	} {
		if err := run(t.Context(), args, io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", args, err, want)
		}
	}
}
