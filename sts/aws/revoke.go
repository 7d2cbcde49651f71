package aws

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// Revoke implements gatekeeper.Revoker. AWS has no call that ends a session;
// what ends it is a policy on the role that denies all to sessions from before
// now (https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_revoke-sessions.html).
// The gatekeeper cannot write it, and should not be able to.
func (e *Exchanger) Revoke(_ context.Context, spec gatekeeper.CredentialSpec, d gatekeeper.Redemption) (gatekeeper.Revocation, error) {
	if spec.AWS == nil {
		return gatekeeper.Revocation{}, gatekeeper.Errorf(gatekeeper.CodeInternal, "there is no AWS session to revoke")
	}
	policy, err := json.MarshalIndent(denial(d), "", "  ")
	if err != nil {
		return gatekeeper.Revocation{}, gatekeeper.Wrap(err, gatekeeper.CodeInternal, "the policy cannot be written")
	}
	_, role, _ := strings.Cut(spec.AWS.RoleARN, ":role/")
	return gatekeeper.Revocation{
		Detail: "AWS revokes no session by itself: until it ends, only a policy on the role stops it",
		Todo: "aws iam put-role-policy --role-name " + role[strings.LastIndex(role, "/")+1:] +
			" --policy-name revoke-" + d.ID + " --policy-document '" + string(policy) + "'",
	}, nil
}

// denial denies all to the sessions of the request's name that are not younger
// than the redemption's: aws:userid is ROLE-ID:SESSION-NAME, and another
// session of the role is left alone. The minute covers clocks that differ.
func denial(d gatekeeper.Redemption) any {
	condition := map[string]any{"DateLessThan": map[string]string{"aws:TokenIssueTime": d.SettleBy.Add(time.Minute).UTC().Format(time.RFC3339)}}
	if d.Handle != "" {
		condition["StringLike"] = map[string]string{"aws:userid": "*:" + d.Handle}
	}
	return map[string]any{"Version": "2012-10-17", "Statement": []any{
		map[string]any{"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": condition},
	}}
}
