package issuer

import (
	"context"
	"strings"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// Minter mints the gatekeeper's own tokens.
type Minter interface {
	Mint(ctx context.Context, g gatekeeper.Grant, audience string) (string, error)
}

// Presented is the token that a cloud sees: the CI's own, or one that is
// minted now.
func Presented(ctx context.Context, m Minter, g gatekeeper.Grant, way gatekeeper.Exchange, audience, subjectToken string) (string, error) {
	switch {
	case way == gatekeeper.ExchangeWorkloadToken && subjectToken == "":
		return "", gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, "this credential needs the CI's token for %s", audience)
	case way == gatekeeper.ExchangeWorkloadToken:
		return subjectToken, nil
	case way != gatekeeper.ExchangeGatekeeperToken:
		return "", gatekeeper.Errorf(gatekeeper.CodeExchangeFailed, "exchange %q is no way to credentials of type %s", way, g.Credential().Type)
	case m == nil:
		return "", gatekeeper.Errorf(gatekeeper.CodeExchangeFailed, "exchange: gatekeeper_token needs a signing key; set signing_key_file")
	}
	return m.Mint(ctx, g, audience)
}

// Subject is who the token is about. It is what trust policies pin, so it
// never changes its form: repo:OWNER/NAME:environment:NAME, with the
// environment in lower case, since jobs may spell it as they like, and with
// colons of either part as %3A, since they part. A workload without a
// repository is subject:ITS SUB:environment:NAME.
func Subject(g gatekeeper.Grant) string {
	w, environment := g.Workload(), escaped(gatekeeper.FoldEnvironment(g.Request().Environment))
	if w.Repository == "" {
		return "subject:" + escaped(w.Subject) + ":environment:" + environment
	}
	return "repo:" + escaped(w.Repository) + ":environment:" + environment
}

// escaped is how GitHub spells colons in its own sub.
func escaped(s string) string {
	return strings.NewReplacer("%", "%25", ":", "%3A").Replace(s)
}

// claims are what a token says beside OIDC's own.
func claims(g gatekeeper.Grant) map[string]any {
	r, w := g.Request(), g.Workload()
	all := map[string]any{
		"repository": w.Repository, "repository_id": w.RepositoryID, "repository_owner": w.RepositoryOwner, "repository_owner_id": w.RepositoryOwnerID,
		"ref": w.Ref, "sha": w.SHA, "workflow": w.Workflow, "workflow_sha": w.WorkflowSHA, "run_id": w.RunID, "run_attempt": w.RunAttempt, "job": w.Job,
		"actor": w.Actor, "workload_issuer": w.IssuerURL, "workload_subject": w.Subject,
		"environment": gatekeeper.FoldEnvironment(r.Environment), "rule": r.Rule.Name, "credential": g.Credential().Name,
		"request": r.ID, "approvers": Approvers(r),
		// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html#id_session-tags_adding-assume-role-idp
		"https://aws.amazon.com/tags":            map[string]any{"principal_tags": lists(Tags(g))},
		"https://aws.amazon.com/source_identity": SourceIdentity(r),
	}
	if r.BrokenGlass { // so that a cloud may refuse what was approved in an emergency
		all["break_glass"] = true
	}
	return all
}

// supported are the names of what tokens say, for the discovery document.
func supported() []string {
	return []string{"iss", "sub", "aud", "exp", "iat", "nbf", "jti", "repository", "repository_id", "repository_owner", "repository_owner_id",
		"ref", "sha", "workflow", "workflow_sha", "run_id", "run_attempt", "job", "actor", "workload_issuer", "workload_subject",
		"environment", "rule", "credential", "request", "approvers", "break_glass"}
}

func lists(tags [][2]string) map[string][]string {
	out := map[string][]string{}
	for _, t := range tags {
		out[t[0]] = []string{t[1]}
	}
	return out
}
