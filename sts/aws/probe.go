package aws

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/aws/smithy-go"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/sts/internal/ask"
)

// probeName is the session's name, for who reads CloudTrail.
const probeName = "gatekeeper-credentials-check"

// probeRegion is asked where none is configured: any will do.
const probeRegion = "us-east-1"

// Probe implements sts.Prober. Only what STS says about trust is a refusal; a
// role that is merely out of reach today can be gone around tomorrow.
func (e *Exchanger) Probe(ctx context.Context, spec gatekeeper.CredentialSpec, token string) error {
	_, err := e.withToken(ctx, probeName, *spec.AWS, cmp.Or(spec.AWS.Region, e.o.Region, probeRegion), token)
	if err == nil {
		return nil
	}
	var refused smithy.APIError
	if errors.As(err, &refused) && !slices.Contains([]string{"AccessDenied", "AccessDeniedException", "InvalidIdentityToken", "IDPRejectedClaim"}, refused.ErrorCode()) {
		return gatekeeper.Errorf(gatekeeper.CodeUnavailable, "AWS STS answered %s, which says nothing about trust", ask.Word(refused.ErrorCode()))
	}
	return told(err)
}
