package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/parts"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/versitygw/versitygwtest"
)

// Inside its enclave the program is this one.
func TestMain(m *testing.M) {
	if os.Getenv(inside) != "" {
		main()
		return
	}
	code := m.Run()
	parts.Tidy()
	os.Exit(code)
}

// A short form of the load, against the real binary: everything that is asked
// for is answered.
func TestLoad(t *testing.T) {
	binary := parts.Gatekeeper(t)
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
	if err := run(t.Context(), []string{"nope"}, io.Discard); err == nil || !strings.Contains(err.Error(), `no "nope"`) {
		t.Error(err)
	}
}

// A short form of the comparison: each exchanges every token.
func TestPeers(t *testing.T) {
	versitygw, fulcio := versitygwtest.Find(t), parts.Find(t, "fulcio", "go install github.com/sigstore/fulcio@v1.8.8")
	wantsRoot(t)
	docs := t.TempDir()
	page := filepath.Join(docs, "performance.md")
	if err := os.WriteFile(page, []byte("before\n<!-- measured: peers -->\nold\n<!-- end: peers -->\nafter\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := run(t.Context(), []string{"peers", "--binary", parts.Gatekeeper(t), "--versitygw", versitygw, "--fulcio", fulcio, "--rounds", "2", "--each", "30", "--write", docs}, &out); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	for _, want := range []string{`bare RSA-2048 verification \| [1-9]`, `recorded decision \| [1-9]`, `OIDC token \| [1-9]`, `versitygw: token → session \| [1-9]`, `fulcio: token → certificate \| [1-9]`} {
		if !regexp.MustCompile(want).MatchString(out.String()) {
			t.Errorf("the table lacks %s\n%s", want, out.String())
		}
	}
	if written, err := os.ReadFile(page); err != nil || string(written) != "before\n<!-- measured: peers -->\n"+out.String()+"<!-- end: peers -->\nafter\n" {
		t.Errorf("%v\n%s", err, written)
	}
}

// One that is not here is said to be missing, and the others are compared.
func TestPeersThatAreMissing(t *testing.T) {
	wantsRoot(t)
	var out bytes.Buffer
	nowhere := filepath.Join(t.TempDir(), "nowhere")
	if err := run(t.Context(), []string{"peers", "--binary", parts.Gatekeeper(t), "--versitygw", nowhere, "--fulcio", nowhere, "--rounds", "1", "--each", "5"}, &out); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	for _, want := range []string{`recorded decision \| [1-9]`, `versitygw: token → session \| not here: .*nowhere`, `fulcio: token → certificate \| not here: .*nowhere`} {
		if !regexp.MustCompile(want).MatchString(out.String()) {
			t.Errorf("the table lacks %s\n%s", want, out.String())
		}
	}
}

func wantsRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		parts.Missing(t, "it takes root to make a network namespace; run the tests as root")
	}
}
