package slack

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	slackgo "github.com/slack-go/slack"
)

// outcome says how the request ended, or why it cannot be approved yet.
func outcome(r gatekeeper.Request, v View) []slackgo.Block {
	if r.State == gatekeeper.Pending {
		return warnings(r)
	}
	blocks := []slackgo.Block{section(markup(ending(r, v)))}
	if r.DenyReason != "" {
		blocks = append(blocks, section(words("“"+lines(r.DenyReason, maxReason)+"”")))
	}
	return append(blocks, handedOut(r, v)...)
}

func ending(r gatekeeper.Request, v View) string {
	by := "somebody"
	if d := r.DeniedBy(); d != nil {
		by = mention(d.Person.Slack, d.Person.Name)
	}
	at := date(r.DecidedAt)
	switch r.State {
	case gatekeeper.Approved:
		how := "*Approved*"
		if r.BrokenGlass {
			how = "*Approved in an emergency*, without the approvals that the rule asks for,"
		}
		return strings.TrimSpace(how + " by " + approvers(r) + ", " + at + ". " + approvalEnd(r, v))
	case gatekeeper.Denied:
		return "*Denied* by " + by + ", " + at + "."
	case gatekeeper.Revoked:
		return "*Revoked* by " + by + ", " + at + ", before any credentials were handed out."
	case gatekeeper.Expired:
		return "*Expired* " + at + ": not enough people decided in time. The job may ask again."
	case gatekeeper.Canceled:
		if r.Deployment != nil && !r.Deployment.Adopted {
			return "*Canceled*, " + at + ": the run ended on GitHub before its job could start."
		}
		return "*Canceled* by the job, " + at + "."
	case gatekeeper.Superseded:
		return "*Superseded* " + at + ": a newer run asks for the same environment."
	}
	return "*The request is in a state that this version does not know.*"
}

// approvalEnd says what became of an approval, in words that stay true.
func approvalEnd(r gatekeeper.Request, v View) string {
	switch {
	case r.Redeemed():
		return ""
	case !v.Now.IsZero() && r.Lapsed(v.Now):
		return "Nobody used it before it lapsed, " + date(r.RedeemBefore) + "."
	}
	return "The job can take its credentials until " + date(r.RedeemBefore) + "."
}

func approvers(r gatekeeper.Request) string {
	all := r.ApprovedBy()
	var named []string
	for _, v := range all[:min(len(all), maxPeople)] {
		named = append(named, mention(v.Person.Slack, v.Person.Name))
	}
	if more := len(all) - len(named); more > 0 {
		named = append(named, fmt.Sprintf("%d more", more))
	}
	if len(named) == 0 {
		return "the rule"
	}
	return strings.Join(named, ", ")
}

// warnings tell approvers beforehand why no click of theirs will count.
func warnings(r gatekeeper.Request) []slackgo.Block {
	why := ""
	switch {
	case tooLong(r):
		why = "the environment's name is too long to be shown here. Decide on the page, where it can be read whole."
	case r.Rule.Approval.BreakGlassOnly:
		return []slackgo.Block{section(words("⚠️ Frozen by " + line(r.Freeze, maxValue) + ": only those who may break the glass can approve, with a reason."))}
	case r.Rule.Approval.SelfApproval:
	case !r.Initiators.Known:
		why = "it is not known who started this run, and the rule does not allow self-approval. " + line(r.Initiators.Why, maxValue)
	default:
		for _, a := range r.Initiators.People {
			if strings.HasSuffix(a.Login, "[bot]") {
				why = "no person stands behind " + line(a.Login, 60) + ", so self-approval cannot be excluded. The rule would have to set self_approval: true."
			}
		}
	}
	if why == "" {
		return nil
	}
	return []slackgo.Block{section(words("⚠️ Nobody can approve this yet: " + why))}
}

// facts are what people decide on. Where and what is in the header, unless
// that has no room for all of it.
func facts(r gatekeeper.Request, v View) []row {
	w := r.Workload
	var rows []row
	if header(r) != fullHeader(r) {
		environment := words(exact(r.Environment))
		if tooLong(r) {
			environment = words("(too long to show)")
		}
		rows = []row{{"Environment", environment}, {"Repository", words(line(w.Repository, maxValue))}}
	}
	rows = append(rows,
		row{"Ref", words(refName(w.Ref, maxValue))}, row{"Commit", commit(w)}, row{"Started by", words(starter(w, v.People))},
		row{"Risk", words(risk(r))}, row{"Gives", words(gives(r))})
	if v.Context != nil {
		rows = append(rows, v.Context.rows()...)
	}
	return rows
}

// refName is a ref as people say it; what is no branch or tag stays whole.
func refName(ref string, limit int) string {
	if branch, ok := strings.CutPrefix(ref, "refs/heads/"); ok {
		return line(branch, limit)
	}
	if tag, ok := strings.CutPrefix(ref, "refs/tags/"); ok {
		return "tag " + line(tag, limit)
	}
	return line(ref, limit)
}

// starter is the CI account that started the run, with the person's name
// where the configuration knows whose it is.
func starter(w gatekeeper.Workload, people gatekeeper.People) string {
	actor := line(w.Actor, maxValue)
	e, known := people.ByAccount(w.Starter())
	if !known || e.Name == "" || strings.EqualFold(e.Name, w.Actor) {
		return actor
	}
	return actor + " (" + line(e.Name, 80) + ")"
}

// commit links the short id; where no address can be told it is shown whole.
func commit(w gatekeeper.Workload) *slackgo.TextBlockObject {
	base := repositoryURL(w)
	if base == "" || !commitSHA.MatchString(w.SHA) {
		return words(line(w.SHA, maxValue))
	}
	return markup(link(base+"/commit/"+w.SHA, short(w.SHA)))
}

// repositoryURL is the repository's page, read off the run's own address so
// that it follows GitHub Enterprise and self-managed GitLab hosts.
func repositoryURL(w gatekeeper.Workload) string {
	u, err := url.Parse(w.RunURL)
	if err != nil || w.Repository == "" || !strings.HasPrefix(u.Path, "/"+w.Repository+"/") {
		return ""
	}
	base := url.URL{Scheme: u.Scheme, Host: u.Host, Path: "/" + w.Repository}
	switch w.IssuerType {
	case "github":
		return base.String()
	case "gitlab":
		return base.String() + "/-"
	}
	return ""
}

func runLink(w gatekeeper.Workload) string {
	text := "Workflow run"
	if digits(w.RunID) {
		text += " " + w.RunID
	}
	if digits(w.RunAttempt) && w.RunAttempt != "1" {
		text += ", attempt " + w.RunAttempt
	}
	return link(w.RunURL, text)
}

func digits(s string) bool {
	return s != "" && len(s) <= 20 && strings.Trim(s, "0123456789") == ""
}

// why is the reason that the job gave.
func why(r gatekeeper.Request, v View) []slackgo.Block {
	limit := maxReason
	if v.Short {
		limit = 200
	}
	if reason := lines(r.Reason, limit); reason != "" {
		return []slackgo.Block{section(words("Why: " + reason))}
	}
	return nil
}
