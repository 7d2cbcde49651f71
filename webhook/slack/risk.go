package slack

import (
	"strings"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// risk tells on one line what should make people look twice, by what the
// token and the rule say.
func risk(r gatekeeper.Request) string {
	if flags := risks(r); len(flags) > 0 {
		return gatekeeper.Shorten("⚠️ "+strings.Join(flags, ", "), maxValue)
	}
	return "no warning signs"
}

func risks(r gatekeeper.Request) []string {
	w := r.Workload
	var flags []string
	add := func(holds bool, what string) {
		if holds {
			flags = append(flags, what)
		}
	}
	add(r.Freeze != "", "freeze "+line(r.Freeze, 60)+" holds")
	add(w.RunAttempt != "" && w.RunAttempt != "1", "re-run (attempt "+line(w.RunAttempt, 10)+")")
	add(claim(w, "ref_protected") == "false", "ref is not protected")
	add(w.Runner == "self-hosted", "self-hosted runner")
	add(strings.HasPrefix(w.Event, "pull_request") || w.Event == "merge_request_event", "started by a pull request")
	add(otherWorkflow(w), "workflow of another repository: "+line(w.Workflow, 80))
	add(r.Rule.Approval.SelfApproval, "whoever started it may approve it")
	return flags
}

// claim is a claim that CIs tell as a string or as a boolean.
func claim(w gatekeeper.Workload, name string) string {
	switch v := w.Claims[name].(type) {
	case string:
		return v
	case bool:
		return map[bool]string{true: "true", false: "false"}[v]
	}
	return ""
}

func otherWorkflow(w gatekeeper.Workload) bool {
	return w.IssuerType == "github" && w.Workflow != "" && !strings.HasPrefix(strings.ToLower(w.Workflow), strings.ToLower(w.Repository)+"/")
}

// gives are the credentials that an approval hands out.
func gives(r gatekeeper.Request) string {
	var all []string
	for _, c := range r.Credentials {
		all = append(all, line(c.Name, 60)+": "+credential(c))
	}
	if len(all) == 0 {
		return "no credentials: the job waits for the answer alone"
	}
	return gatekeeper.Shorten(strings.Join(all, ", "), maxValue)
}

// credential is what people would lose sleep over: whose powers are given, and
// for how long where the rule says so.
func credential(c gatekeeper.CredentialSpec) string {
	named := func(what, name string) string { return strings.TrimSpace(what + " " + line(name, 80)) }
	switch {
	case c.AWS != nil:
		_, role, _ := strings.Cut(c.AWS.RoleARN, ":role/")
		text := named("AWS role", role)
		if d := c.AWS.SessionDuration; d > 0 {
			text += ", " + brief(d)
		}
		return text
	case c.GCP != nil && c.GCP.ServiceAccount != "":
		return named("Google Cloud service account", c.GCP.ServiceAccount)
	case c.GCP != nil:
		return "Google Cloud"
	case c.Azure != nil:
		return named("Azure application", c.Azure.ClientID)
	case c.Vault != nil:
		return named("Vault role", c.Vault.Role)
	case c.GitHub != nil:
		return named("a GitHub token for", strings.Join(c.GitHub.Repositories, ", "))
	case c.OIDC != nil:
		return named("a token for", c.OIDC.Audience)
	}
	return line(c.Type, 30)
}

func brief(d time.Duration) string {
	s := d.Round(time.Minute).String()
	return strings.TrimSuffix(strings.TrimSuffix(s, "0s"), "0m")
}
