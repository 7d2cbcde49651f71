// Command gatekeeper approves deployments: the service, the CI step, and what
// platform teams and auditors run.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/urfave/cli/v2"
)

// version is set by the linker in releases.
var version = "dev"

// Exit codes that all commands share; `gatekeeper request` has more.
const (
	exitFailed = 1
	exitUsage  = 2
)

// world is what a command may touch of the process it runs in, so that tests
// run commands in theirs.
type world struct {
	args           []string
	env            func(string) string
	stdin          io.Reader
	stdout, stderr io.Writer
	interrupt      context.Context // ends on SIGINT and SIGTERM
	programs       programs        // nil: those on PATH
}

func main() {
	ctx, stop := interruptible()
	code := run(world{args: os.Args, env: os.Getenv, stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, interrupt: ctx})
	stop()
	os.Exit(code)
}

// interruptible ends with the first signal, which asks to end well. A second
// one ends the process at once: signals are given back before anybody hears
// of the first, so that none falls in between.
func interruptible() (ctx context.Context, stop func()) {
	ctx, stop = context.WithCancel(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		select {
		case <-signals:
		case <-ctx.Done():
		}
		signal.Stop(signals)
		stop()
	}()
	return ctx, stop
}

// run is the whole program; its result is the exit code.
func run(w world) int {
	app := &cli.App{
		Name: "gatekeeper", Usage: "people approve deployments in Slack, jobs get short-lived credentials", Version: version,
		Writer: w.stdout, ErrWriter: w.stderr, Reader: w.stdin,
		HideHelpCommand: true, ExitErrHandler: func(*cli.Context, error) {},
		OnUsageError: usage,
		Commands:     commands(w),
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return cli.Exit(fmt.Sprintf("there is no command %q; `gatekeeper --help` lists them", c.Args().First()), exitUsage)
			}
			return cli.ShowAppHelp(c)
		},
	}
	return exitCode(app.RunContext(w.interrupt, flagsFirst(app.Commands, w.args)), w.stderr)
}

// usage is what wrong flags of any command come to.
func usage(_ *cli.Context, err error, _ bool) error { return cli.Exit(err.Error(), exitUsage) }

// exitCode tells the error to the person and gives its code.
func exitCode(err error, stderr io.Writer) int {
	if err == nil {
		return 0
	}
	if err.Error() != "" {
		fmt.Fprintln(stderr, "gatekeeper:", err)
	}
	return codeOf(err)
}

// codeOf is the exit code that an error asks for.
func codeOf(err error) int {
	var coded cli.ExitCoder
	switch {
	case err == nil:
		return 0
	case errors.As(err, &coded):
		return coded.ExitCode()
	}
	return exitFailed
}

// commands are all of them, each in a file of its own.
func commands(w world) []*cli.Command {
	all := []*cli.Command{
		attestCommand(w),
		auditCommand(w),
		credentialsCommand(w),
		demoCommand(w),
		keysCommand(w),
		githubCommand(w),
		migrateCommand(w),
		requestCommand(w),
		revokeCommand(w),
		rulesCommand(w),
		serveCommand(w),
		passkeysCommand(w),
		slackCommand(w),
		configCommand(w),
	}
	for _, c := range all {
		withUsage(c)
	}
	return all
}

// withUsage makes wrong flags exit 2 everywhere: cli/v2 asks each command.
func withUsage(c *cli.Command) {
	c.OnUsageError = usage
	c.HideHelpCommand = true
	for _, sub := range c.Subcommands {
		withUsage(sub)
	}
}
