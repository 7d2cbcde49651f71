package main

import (
	"context"
	"flag"
	"os"
	"testing"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/parts"
	"github.com/rogpeppe/go-internal/testscript"
)

// The commands as people type them; each transcript in testdata/script is a
// test.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "../../testdata/script"})
}

func TestMain(m *testing.M) {
	// Tests that are parallel here mostly wait, for processes and for time: more
	// of them than there are processors go on at once. -parallel says otherwise.
	_ = flag.Set("test.parallel", "8")
	testscript.Main(tidy{m}, map[string]func(){
		"gatekeeper": func() {
			os.Exit(run(world{args: os.Args, env: os.Getenv, stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, interrupt: context.Background()}))
		},
		"buildkite-agent": fakeAgent, "circleci": fakeAgent,
	})
}

// tidy runs the tests, and takes the program away that they built.
type tidy struct{ m *testing.M }

func (d tidy) Run() int {
	code := d.m.Run()
	parts.Tidy()
	return code
}
