package main

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/rules"
	"github.com/urfave/cli/v2"
)

func rulesTestCommand(w world) *cli.Command {
	return &cli.Command{
		Name: "test", Usage: "run the tests: blocks", ArgsUsage: "PATH",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "cover", Usage: "name the rules that no test reaches"},
			&cli.StringFlag{Name: "run", Usage: "only the tests whose name matches this `REGEX`"},
			&cli.BoolFlag{Name: "v", Usage: "tell the tests that pass, too"},
			&cli.StringFlag{Name: "at", Usage: "the time (RFC 3339) of tests that name none; otherwise it is now"},
			configFlag(),
		},
		Action: func(c *cli.Context) error { return rulesTest(w, c) },
	}
}

func rulesTest(w world, c *cli.Context) error {
	path, err := onlyPath(c)
	if err != nil {
		return err
	}
	only, err := regexp.Compile(c.String("run"))
	if err != nil {
		return cli.Exit("--run: "+err.Error(), exitUsage)
	}
	at, err := timeFlag(c, "at")
	if err != nil {
		return err
	}
	around, err := surroundingsOf(w, c)
	if err != nil {
		return err
	}
	set, err := loadRules(w, path, around.options)
	if err != nil {
		return err
	}
	t := testRun{w: w, path: path, set: set, verbose: c.Bool("v"), reached: map[string]bool{}}
	t.run(set.RunTests(around.workload, at), only)
	return t.summary(c.Bool("cover"))
}

// testRun prints what `go test` would print of such tests.
type testRun struct {
	w           world
	path        string
	set         *rules.Rules
	verbose     bool
	ran, failed int
	reached     map[string]bool
}

func (t *testRun) run(results []rules.TestResult, only *regexp.Regexp) {
	for _, r := range results {
		if !only.MatchString(r.Name) {
			continue
		}
		t.ran++
		t.reach(r)
		if t.verbose {
			fmt.Fprintf(t.w.stdout, "=== RUN   %s\n", oneLine(r.Name))
		}
		t.result(r)
	}
}

func (t *testRun) reach(r rules.TestResult) {
	if r.Got.Rule != nil {
		t.reached[r.Got.Rule.Name] = true
	}
	for _, o := range r.Got.Observed {
		t.reached[o.Rule] = true
	}
}

func (t *testRun) result(r rules.TestResult) {
	failed := len(r.Diff) > 0
	if failed {
		t.failed++
	}
	if failed || t.verbose {
		verdict := map[bool]string{true: "FAIL", false: "PASS"}[failed]
		fmt.Fprintf(t.w.stdout, "--- %s: %s (%s:%d)\n", verdict, oneLine(r.Name), r.File, r.Line)
	}
	switch {
	case failed:
		t.say(r, "the decision as of "+r.At.UTC().Format(time.RFC3339)+" differs (-want +got)")
		for _, line := range r.Diff {
			fmt.Fprintf(t.w.stdout, "        %s\n", oneLine(line))
		}
		fmt.Fprintf(t.w.stdout, "        because %s\n", oneLine(r.Because()))
	case t.verbose:
		t.say(r, r.Got.Outcome.String()+": "+r.Because())
		for _, o := range r.Got.Observed {
			t.say(r, "rule "+o.Rule+" observes and would have said "+o.Outcome+": "+o.Reason)
		}
	}
}

func (t *testRun) say(r rules.TestResult, text string) {
	fmt.Fprintf(t.w.stdout, "    %s:%d:%d: %s\n", r.File, r.Line, r.Column, oneLine(text))
}

// summary is the last line, and the exit code.
func (t *testRun) summary(cover bool) error {
	covered := ""
	if cover {
		covered = t.cover()
	}
	switch {
	case t.failed > 0:
		fmt.Fprintf(t.w.stdout, "FAIL\nFAIL\t%s\t%d of %s failed%s\n", t.path, t.failed, count(t.ran, "test"), covered)
		return cli.Exit("", exitFailed)
	case t.ran == 0:
		fmt.Fprintf(t.w.stdout, "?   \t%s\t[no tests to run]%s\n", t.path, covered)
	default:
		if t.verbose {
			fmt.Fprintln(t.w.stdout, "PASS")
		}
		fmt.Fprintf(t.w.stdout, "ok  \t%s\t%s%s\n", t.path, count(t.ran, "test"), covered)
	}
	return nil
}

// cover names the rules that no test reaches.
func (t *testRun) cover() string {
	var missed []string
	t.set.Places(func(name, file string, line, column int) {
		if !t.reached[name] {
			missed = append(missed, fmt.Sprintf("%s:%d:%d: no test reaches rule %s\n", file, line, column, name))
		}
	})
	fmt.Fprint(t.w.stdout, strings.Join(missed, ""))
	share := 100.0
	if t.set.Len() > 0 {
		share = 100 * float64(t.set.Len()-len(missed)) / float64(t.set.Len())
	}
	return fmt.Sprintf("\tcoverage: %.1f%% of rules", share)
}
