package main

import (
	"context"
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// The commands as people type them; each transcript in testdata/script is a
// test.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "../../testdata/script"})
}

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"gatekeeper": func() {
			os.Exit(run(world{args: os.Args, env: os.Getenv, stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, interrupt: context.Background()}))
		},
		"buildkite-agent": fakeAgent, "circleci": fakeAgent,
	})
}
