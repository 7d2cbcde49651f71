package main

import (
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/api"
)

// workflow speaks GitHub's workflow commands
// (https://docs.github.com/actions/reference/workflow-commands-for-github-actions).
// No maintained module is served for them.
type workflow struct {
	out                     io.Writer
	envFile, output, report string
}

func newWorkflow(env func(string) string, out io.Writer) *workflow {
	return &workflow{out: out, envFile: env("GITHUB_ENV"), output: env("GITHUB_OUTPUT"), report: env("GITHUB_STEP_SUMMARY")}
}

// mask makes the runner replace a value with *** in all logs. Each line of a
// value is masked for itself, as logs are read by lines.
func (w *workflow) mask(value string) {
	for _, line := range strings.Split(value, "\n") {
		if line = strings.TrimRight(line, "\r"); line != "" {
			fmt.Fprintf(w.out, "::add-mask::%s\n", escaped(line))
		}
	}
}

// escaped is how values of workflow commands are written.
func escaped(s string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A").Replace(s)
}

func (w *workflow) setEnv(name, value string) error { return set(w.envFile, name, value) }

func (w *workflow) setOutput(name, value string) error { return set(w.output, name, value) }

// set appends a value with a delimiter that nobody can guess, so that no
// value can end it early and name another variable.
func set(file, name, value string) error {
	if file == "" {
		return nil // not inside a runner that takes such files
	}
	end := "ghadelimiter_" + rand.Text()
	return appendTo(file, fmt.Sprintf("%s<<%s\n%s\n%s\n", name, end, value, end))
}

func appendTo(file, text string) error {
	if file == "" {
		return nil
	}
	f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	if _, err := f.WriteString(text); err != nil {
		_ = f.Close()
		return err
	}
	return f.Close()
}

// finish sets the outputs and writes the job's summary.
func (w *workflow) finish(r api.Request, credentials []gatekeeper.Credential) error {
	expires := ""
	for _, c := range credentials {
		if at := c.ExpiresAt.UTC().Format(time.RFC3339); expires == "" || at < expires {
			expires = at
		}
	}
	for _, o := range [][2]string{
		{"request-id", r.ID}, {"state", string(r.State)}, {"approved-by", approvers(r)}, {"request-url", r.URL}, {"expires-at", expires},
	} {
		if err := w.setOutput(o[0], oneLine(o[1])); err != nil {
			return err
		}
	}
	return appendTo(w.report, summary(r, expires))
}

// summary says who approved what and when, in Markdown.
func summary(r api.Request, expires string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "### Gatekeeper: %s %s\n\n", markdown(r.Environment), markdown(string(r.State)))
	fmt.Fprintf(&b, "| | |\n| --- | --- |\n| Request | [%s](%s) |\n| Rule | %s |\n", markdown(r.ID), r.URL, markdown(r.Rule))
	if r.Reason != "" {
		fmt.Fprintf(&b, "| Reason | %s |\n", markdown(r.Reason))
	}
	for _, v := range r.Approval.ApprovedBy {
		fmt.Fprintf(&b, "| Approved by | %s, %s |\n", markdown(v.Name), v.At.UTC().Format("2006-01-02 15:04:05 UTC"))
	}
	if v := r.Approval.DeniedBy; v != nil {
		fmt.Fprintf(&b, "| Denied by | %s, %s |\n", markdown(v.Name), v.At.UTC().Format("2006-01-02 15:04:05 UTC"))
	}
	if r.Approval.DenyReason != "" {
		fmt.Fprintf(&b, "| Why | %s |\n", markdown(r.Approval.DenyReason))
	}
	if expires != "" {
		fmt.Fprintf(&b, "| Credentials until | %s |\n", expires)
	}
	return b.String() + "\n"
}

// markdown keeps a stranger's text from linking, formatting or leaving its
// cell.
func markdown(s string) string {
	var b strings.Builder
	for _, r := range oneLine(s) {
		if strings.ContainsRune("\\`*_{}[]()<>#+-!|~@&:", r) {
			fmt.Fprintf(&b, "&#%d;", r)
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}
