package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/slackbox"
	"github.com/urfave/cli/v2"
)

func demoCommand(w world) *cli.Command {
	return &cli.Command{
		Name: "demo", Usage: "run the real service with stand-ins for the CI, Slack and AWS, and wait for your click",
		Flags: []cli.Flag{&cli.StringFlag{Name: "auto", Usage: "click by itself: approve or deny"}},
		Action: func(c *cli.Context) error {
			if auto := c.String("auto"); auto != "" && auto != "approve" && auto != "deny" {
				return cli.Exit("--auto is approve or deny", exitUsage)
			}
			return demo(w, c.Context, c.String("auto"))
		},
	}
}

// demo plays one deployment and gives the exit code of its CI step.
func demo(w world, ctx context.Context, auto string) error {
	dir, err := os.MkdirTemp("", "gatekeeper-demo-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	s, err := newStage(ctx, stageOptions{dir: dir})
	if err != nil {
		return err
	}
	defer s.close()
	log, closeLog, err := demoLog(dir)
	if err != nil {
		return err
	}
	defer closeLog()
	_, stop, err := s.serve(ctx, log)
	if err != nil {
		return err
	}
	defer func() { _ = stop() }()

	fmt.Fprintf(w.stdout, "Gatekeeper is running at %s, with a stand-in CI, Slack and AWS around it.\n\n"+
		"  Open  %s\n\nand press Approve or Deny there: you are Bob, a release manager; top right you can be\nsomebody else. The app's Home tab and /gatekeeper work, too. The pipeline waits:\n\n", s.cfg.URL, s.slack.PageURL("U0BOB", "C0DEPLOYS"))
	if auto != "" {
		go s.click(ctx, w, auto)
	}
	code := s.pipeline(ctx, w)
	fmt.Fprintf(w.stdout, "\nThe CI step ended with exit code %d.\n", code)
	s.afterwards(w)
	if code != 0 {
		return cli.Exit("", code)
	}
	return nil
}

func demoLog(dir string) (*slog.Logger, func(), error) {
	f, err := os.OpenFile(filepath.Join(dir, "service.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, nil, err
	}
	return slog.New(slog.NewTextHandler(f, nil)), func() { _ = f.Close() }, nil
}

// pipeline is the CI step of the demo, just as a runner would start it.
func (s *stage) pipeline(ctx context.Context, w world) int {
	env := s.jobEnv(nil)
	step := w
	step.args = []string{"gatekeeper", "request", "--environment", "production", "--reason", "Release 1.2: new checkout", "--output", "env"}
	step.env = func(name string) string { return env[name] }
	step.interrupt = ctx
	// The credentials are a stand-in's, but nobody should get used to seeing
	// secrets on a screen.
	step.stdout, step.stderr = secretless{w.stdout}, w.stdout
	return run(step)
}

// secretless shows the names of what is exported, and not the values.
type secretless struct {
	out interface{ Write([]byte) (int, error) }
}

func (s secretless) Write(p []byte) (int, error) {
	for i, b := range p {
		if b == '=' {
			_, err := fmt.Fprintf(s.out, "  %s=***\n", p[:i])
			return len(p), err
		}
	}
	return s.out.Write(p)
}

// click plays Bob.
func (s *stage) click(ctx context.Context, w world, auto string) {
	m, err := s.slack.WaitMessage(ctx, func(m slackbox.Message) bool { return m.Channel == "C0DEPLOYS" && len(m.Buttons()) > 0 })
	if err == nil {
		err = s.decide(ctx, m, "U0BOB", auto)
	}
	if err != nil && ctx.Err() == nil {
		fmt.Fprintln(w.stderr, "gatekeeper: the demo's click failed:", err)
	}
}

// decide presses the button whose label says approve or deny, and gives a
// reason where a modal asks for one.
func (s *stage) decide(ctx context.Context, m slackbox.Message, user, choice string) error {
	label := map[string]string{"approve": "Approve", "deny": "Deny"}[choice]
	for _, b := range m.Buttons() {
		if b.Text != label {
			continue
		}
		if _, err := s.slack.Click(ctx, slackbox.Click{User: user, Channel: m.Channel, TS: m.TS, ActionID: b.ActionID, Value: b.Value}); err != nil {
			return err
		}
		if choice != "deny" {
			return nil
		}
		if err := s.slack.Wait(ctx, func() bool { _, ok := s.slack.Modal(user); return ok }); err != nil {
			return err
		}
		return s.giveReason(ctx, user, "Not on a Friday")
	}
	return fmt.Errorf("the message has no button %q", label)
}

func (s *stage) giveReason(ctx context.Context, user, reason string) error {
	view, _ := s.slack.Modal(user)
	values := map[string]string{}
	for _, b := range view.Blocks {
		if id, ok := b["block_id"].(string); ok && b["type"] == "input" {
			values[id] = reason
		}
	}
	_, err := s.slack.SubmitModal(ctx, slackbox.Submission{User: user, View: view.ID, Values: values})
	return err
}

// afterwards shows what AWS was told.
func (s *stage) afterwards(w world) {
	for _, session := range s.sts.Sessions() {
		fmt.Fprintf(w.stdout, "AWS issued a session of %s named %s.\n", session.Role, session.Name)
	}
}
