package main

import (
	"bytes"
	"context"
	"errors"
	"os/exec"
	"strings"
)

// programs are those of the job's machine, e.g. a CI's agent.
type programs interface {
	// find says whether there is one of that name.
	find(name string) bool
	// run gives what it prints, or an error with the last line of what it says.
	run(ctx context.Context, name string, args ...string) (string, error)
}

func (w world) finds(name string) bool { return w.programsOrOwn().find(name) }

func (w world) runs(ctx context.Context, name string, args ...string) (string, error) {
	return w.programsOrOwn().run(ctx, name, args...)
}

func (w world) programsOrOwn() programs {
	if w.programs != nil {
		return w.programs
	}
	return machine{}
}

// machine runs programs by PATH.
type machine struct{}

func (machine) find(name string) bool {
	_, err := exec.LookPath(name)
	return err == nil
}

func (machine) run(ctx context.Context, name string, args ...string) (string, error) {
	var out, said bytes.Buffer
	c := exec.CommandContext(ctx, name, args...) //nolint:gosec // names are ours, and no shell reads the arguments
	c.Stdout, c.Stderr = &out, &said
	if err := c.Run(); err != nil {
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		lines := strings.Split(strings.TrimSpace(said.String()), "\n")
		if last := lines[len(lines)-1]; last != "" {
			return "", errors.New(last)
		}
		return "", err
	}
	return out.String(), nil
}
