package rules_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/rules"
)

// many makes n rules over n/2 repositories, two environments for each, as a
// platform team would write them.
func many(n int) string {
	var b strings.Builder
	b.WriteString("rules:\n")
	for i := range n {
		env := []string{"staging", "production"}[i%2]
		fmt.Fprintf(&b, `  - name: repo-%d-%s
    match: {repository: acme/repo-%d, repository_id: "%d", ref: refs/heads/main}
    environment: %s
    approval: {approvers: [slack:S0TEAM%d], quorum: %d}
    credentials: {deploy: {aws: {role_arn: "arn:aws:iam::111122223333:role/repo-%d-%s", exchange: gatekeeper_token}}}
`, i/2, env, i/2, 1000+i/2, env, i/100, 1+i%2, i/2, env)
	}
	return b.String()
}

func sizes(b *testing.B, run func(b *testing.B, n int)) {
	for _, n := range []int{10, 100, 1000, 10000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) { run(b, n) })
	}
}

func BenchmarkLoad(b *testing.B) {
	sizes(b, func(b *testing.B, n int) {
		body := []byte(many(n))
		for b.Loop() {
			if _, faults := rules.Parse([]rules.File{{Name: "r.yaml", Body: body}}, rules.Options{}); faults.Err() != nil {
				b.Fatal(faults)
			}
		}
	})
}

// of is a run of one of the repositories.
func of(repository int, ref string) gatekeeper.Workload {
	return gatekeeper.Workload{
		Issuer: "github", IssuerType: "github", Repository: fmt.Sprintf("acme/repo-%d", repository), RepositoryID: fmt.Sprint(1000 + repository),
		RepositoryOwner: "acme", RepositoryOwnerID: "99", Ref: ref, Event: "push", Environment: "production",
	}
}

func BenchmarkDecide(b *testing.B) {
	sizes(b, func(b *testing.B, n int) { decides(b, many(n), of(n/4, "refs/heads/main"), gatekeeper.NeedApproval) })
}

// A refusal also looks for the rule that came closest.
func BenchmarkRefuse(b *testing.B) {
	sizes(b, func(b *testing.B, n int) { decides(b, many(n), of(n, "refs/heads/main"), gatekeeper.Refuse) })
}

// Rules with ids only, or with patterns of one owner among many, are found as
// fast.
func BenchmarkDecideByID(b *testing.B) {
	sizes(b, func(b *testing.B, n int) {
		body := strings.ReplaceAll(many(n), "repository: acme/repo", "repository: '**'#")
		for i := range n {
			body = strings.Replace(body, fmt.Sprintf("'**'#-%d, ", i/2), "'**', ", 1)
		}
		decides(b, body, of(n/4, "refs/heads/main"), gatekeeper.NeedApproval)
	})
}

func decides(b *testing.B, body string, w gatekeeper.Workload, want gatekeeper.Outcome) {
	set := parse(b, body)
	for b.Loop() {
		if d := set.Decide(w, "production", now()); d.Outcome != want {
			b.Fatal(d.Reason)
		}
	}
}
