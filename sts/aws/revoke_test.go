package aws_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// A session cannot be revoked at AWS; what is printed is a policy that stops
// the sessions of this request and of no other.
func TestRevoke(t *testing.T) {
	b := begin(t)
	g := grantOf(t, web())
	c, err := b.exchange.Exchange(t.Context(), g, b.token())
	if err != nil || c.Handle != "req_abc-acme-payments" {
		t.Fatalf("handle %q, %v", c.Handle, err)
	}
	d := g.Redemption()
	d.Handle = c.Handle
	got, err := b.exchange.Revoke(t.Context(), g.Credential(), d)
	if err != nil || got.Revoked || got.Detail == "" {
		t.Fatalf("%+v, %v", got, err)
	}
	before, document, _ := strings.Cut(got.Todo, "'")
	if before != "aws iam put-role-policy --role-name deploy --policy-name revoke-red_1 --policy-document " {
		t.Errorf("the command is %q", before)
	}
	var policy struct {
		Statement []struct {
			Effect, Action, Resource string
			Condition                map[string]map[string]string
		}
	}
	if err := json.Unmarshal([]byte(strings.TrimSuffix(document, "'")), &policy); err != nil || len(policy.Statement) != 1 {
		t.Fatalf("%v in %s", err, document)
	}
	s := policy.Statement[0]
	until, err := time.Parse(time.RFC3339, s.Condition["DateLessThan"]["aws:TokenIssueTime"])
	if err != nil || until.Before(time.Now()) || s.Effect != "Deny" || s.Action != "*" || s.Condition["StringLike"]["aws:userid"] != "*:req_abc-acme-payments" {
		t.Errorf("%+v", s)
	}
	if _, err := b.exchange.Revoke(t.Context(), gatekeeper.CredentialSpec{Type: "aws"}, d); gatekeeper.CodeOf(err) != gatekeeper.CodeInternal {
		t.Errorf("nothing to revoke: %v", err)
	}
}
