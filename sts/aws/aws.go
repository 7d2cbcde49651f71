// Package aws obtains sessions from AWS STS.
package aws

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/aws/smithy-go"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/sts/internal/ask"
	"github.com/gatekeeper-ci/gatekeeper/sts/issuer"
)

// maxTries bounds what one exchange asks of STS.
const maxTries = 3

// Options of an Exchanger; the zero value has no region and cannot mint.
type Options struct {
	Region   string        // where a credential names none
	Endpoint string        // "" is AWS's own, or AWS_ENDPOINT_URL_STS
	Minter   issuer.Minter // for exchange: gatekeeper_token
	HTTP     aws.HTTPClient
	// Watch stands around each call over HTTP, for traces; nil: nobody does.
	Watch func(http.RoundTripper) http.RoundTripper
	// Credentials are the gatekeeper's own, for exchange: assume_role; nil is
	// the SDK's default chain, asked when first needed.
	Credentials aws.CredentialsProvider
	Logger      *slog.Logger
}

// Exchanger implements gatekeeper.Exchanger for credentials of type aws.
type Exchanger struct{ o Options }

// New makes an Exchanger and asks nobody.
func New(o Options) *Exchanger {
	if o.HTTP == nil {
		o.HTTP = awshttp.NewBuildableClient().WithTimeout(10 * time.Second)
	}
	return &Exchanger{o}
}

// Exchange implements gatekeeper.Exchanger.
func (e *Exchanger) Exchange(ctx context.Context, g gatekeeper.Grant, subjectToken string) (gatekeeper.Credential, error) {
	spec := g.Credential().AWS
	if !g.Valid() || spec == nil {
		return gatekeeper.Credential{}, gatekeeper.Errorf(gatekeeper.CodeInternal, "there is no grant for an AWS session")
	}
	region := spec.Region
	if region == "" {
		region = e.o.Region
	}
	if region == "" {
		return gatekeeper.Credential{}, gatekeeper.Errorf(gatekeeper.CodeExchangeFailed, "no AWS region is configured; set aws.region, or region in the rule's credential")
	}
	if partition := gatekeeper.AWSPartition(region); !strings.HasPrefix(spec.RoleARN, "arn:"+partition+":") {
		return gatekeeper.Credential{}, gatekeeper.Errorf(gatekeeper.CodeExchangeFailed, "region %s is of partition %s, the role %s is not; name a region of its own in the rule's credential", region, partition, spec.RoleARN)
	}
	session, err := e.session(ctx, g, *spec, region, subjectToken)
	if err != nil {
		return gatekeeper.Credential{}, told(err)
	}
	c, err := credential(session, *spec, region)
	c.Handle = issuer.SessionName(g)
	return c, err
}

// session is what all ways of asking STS give.
type session struct {
	credentials *types.Credentials
	user        *types.AssumedRoleUser
}

func (e *Exchanger) session(ctx context.Context, g gatekeeper.Grant, spec gatekeeper.AWSSpec, region, subjectToken string) (session, error) {
	if spec.Exchange == gatekeeper.ExchangeAssumeRole {
		return e.asOurselves(ctx, g, spec, region)
	}
	token, err := issuer.Presented(ctx, e.o.Minter, g, spec.Exchange, spec.Audience, subjectToken)
	if err != nil {
		return session{}, err
	}
	return e.withToken(ctx, issuer.SessionName(g), spec, region, token)
}

// withToken presents a token. STS takes neither tags nor SourceIdentity here;
// the gatekeeper's own token carries them as claims.
func (e *Exchanger) withToken(ctx context.Context, name string, spec gatekeeper.AWSSpec, region, token string) (session, error) {
	client, err := e.client(ctx, region, aws.AnonymousCredentials{})
	if err != nil {
		return session{}, err
	}
	out, err := client.AssumeRoleWithWebIdentity(ctx, &sts.AssumeRoleWithWebIdentityInput{
		RoleArn: &spec.RoleARN, RoleSessionName: &name, WebIdentityToken: &token,
		DurationSeconds: seconds(spec), Policy: policy(spec), PolicyArns: policies(spec),
	})
	if err != nil {
		return session{}, err
	}
	return session{out.Credentials, out.AssumedRoleUser}, nil
}

// asOurselves assumes the role with the gatekeeper's own identity.
func (e *Exchanger) asOurselves(ctx context.Context, g gatekeeper.Grant, spec gatekeeper.AWSSpec, region string) (session, error) {
	client, err := e.client(ctx, region, e.o.Credentials)
	if err != nil {
		return session{}, err
	}
	var tags []types.Tag
	for _, t := range issuer.Tags(g) {
		tags = append(tags, types.Tag{Key: aws.String(t[0]), Value: aws.String(t[1])})
	}
	in := &sts.AssumeRoleInput{
		RoleArn: &spec.RoleARN, RoleSessionName: aws.String(issuer.SessionName(g)), Tags: tags,
		SourceIdentity:  aws.String(issuer.SourceIdentity(g.Request())),
		DurationSeconds: seconds(spec), Policy: policy(spec), PolicyArns: policies(spec),
	}
	if spec.ExternalID != "" {
		in.ExternalId = &spec.ExternalID
	}
	if err := identified(ctx, client); err != nil {
		return session{}, err
	}
	out, err := client.AssumeRole(ctx, in)
	if err != nil {
		return session{}, err
	}
	return session{out.Credentials, out.AssumedRoleUser}, nil
}

// identified asks for the gatekeeper's own identity apart, since it may be STS
// that refuses it: that code would read as if it were about the rule's role.
func identified(ctx context.Context, client *sts.Client) error {
	const none = "the gatekeeper has no AWS identity of its own, which exchange: assume_role needs; give it one by the AWS SDK's default chain"
	own := client.Options().Credentials
	if own == nil {
		return gatekeeper.Errorf(gatekeeper.CodeExchangeFailed, none)
	}
	if _, err := own.Retrieve(ctx); err != nil {
		return gatekeeper.Wrap(err, gatekeeper.CodeExchangeFailed, none)
	}
	return nil
}

// client is made for each exchange: making one is cheap, and each has its own
// region and identity.
func (e *Exchanger) client(ctx context.Context, region string, credentials aws.CredentialsProvider) (*sts.Client, error) {
	options := []func(*config.LoadOptions) error{
		config.WithRegion(region), config.WithHTTPClient(e.o.HTTP), config.WithRetryer(retryer),
	}
	if credentials != nil {
		options = append(options, config.WithCredentialsProvider(credentials))
	}
	cfg, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return nil, gatekeeper.Wrap(err, gatekeeper.CodeExchangeFailed, "the gatekeeper's AWS configuration cannot be read")
	}
	cfg.HTTPClient = e.watched(cfg.HTTPClient)
	return sts.NewFromConfig(cfg, func(o *sts.Options) {
		o.RetryMaxAttempts = maxTries // AWS_MAX_ATTEMPTS would be taken instead
		if e.o.Endpoint != "" {
			o.BaseEndpoint = &e.o.Endpoint
		}
	}), nil
}

// retryer tries again what STS itself says may go well: it could not reach
// the token's issuer, it throttles, it failed. A refusal is never repeated,
// and neither is a lost answer: a session may have been issued (row 39).
func retryer() aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts, o.MaxBackoff = maxTries, 2*time.Second
		o.Retryables = []retry.IsErrorRetryable{
			retry.RetryableErrorCode{Codes: map[string]struct{}{"IDPCommunicationError": {}}},
			retry.RetryableErrorCode{Codes: retry.DefaultThrottleErrorCodes},
			retry.RetryableHTTPStatusCode{Codes: map[int]struct{}{500: {}, 502: {}, 503: {}, 504: {}}},
		}
	})
}

func credential(s session, spec gatekeeper.AWSSpec, region string) (gatekeeper.Credential, error) {
	c, u := s.credentials, s.user
	if c == nil || u == nil || aws.ToString(c.AccessKeyId) == "" || aws.ToString(c.SecretAccessKey) == "" || aws.ToString(c.SessionToken) == "" || c.Expiration == nil {
		return gatekeeper.Credential{}, ask.Incomplete("AWS STS")
	}
	return gatekeeper.Credential{Type: "aws", ExpiresAt: c.Expiration.UTC(), AWS: &gatekeeper.AWSCredential{
		AccessKeyID: *c.AccessKeyId, SecretAccessKey: *c.SecretAccessKey, SessionToken: *c.SessionToken,
		Region: region, RoleARN: spec.RoleARN, AssumedRoleARN: aws.ToString(u.Arn),
	}}, nil
}

// unnamed is the SDK's code for an answer that is not in STS's words: something
// between may have lost the true one.
const unnamed = "UnknownError"

// told is the error by the cloud's own code. STS's messages name roles and
// subjects, never tokens; the SDK's own may hold the request, so they stay
// causes.
func told(err error) error {
	var coded *gatekeeper.Error
	if errors.As(err, &coded) {
		return err
	}
	var refused smithy.APIError
	if errors.As(err, &refused) && refused.ErrorCode() != unnamed {
		out := gatekeeper.Errorf(gatekeeper.CodeExchangeFailed, "AWS STS refused: %s%s", ask.Word(refused.ErrorCode()), hint(refused.ErrorCode()))
		if retryer().IsErrorRetryable(err) { // it met all tries, and may pass: the job may try again
			out.RetryAfter = laterAgain
		}
		return out
	}
	return ask.Lost(err, "AWS STS")
}

// laterAgain is when STS is asked again after it throttled or failed.
const laterAgain = 2 * time.Second

// hint says what the platform team can check.
func hint(code string) string {
	switch code {
	case "AccessDenied", "AccessDeniedException":
		return "; the role's trust policy has to allow this issuer, audience and subject (for assume_role: sts:AssumeRole, sts:TagSession and sts:SetSourceIdentity)"
	case "InvalidIdentityToken":
		return "; IAM needs an OIDC provider for the token's issuer with this audience"
	case "ExpiredTokenException":
		return "; the token was too old, present a fresh one"
	case "IDPCommunicationError":
		return "; AWS cannot reach the token's issuer"
	case "PackedPolicyTooLarge", "MalformedPolicyDocument":
		return "; the rule's session_policy is not one that STS takes"
	case "RegionDisabledException":
		return "; this region is not enabled in the account"
	}
	return ""
}

func seconds(spec gatekeeper.AWSSpec) *int32 {
	return aws.Int32(int32(spec.SessionDuration / time.Second)) //nolint:gosec // bounded when rules load
}

func policy(spec gatekeeper.AWSSpec) *string {
	if spec.SessionPolicy == "" {
		return nil
	}
	return &spec.SessionPolicy
}

func policies(spec gatekeeper.AWSSpec) []types.PolicyDescriptorType {
	var all []types.PolicyDescriptorType
	for _, arn := range spec.PolicyARNs {
		all = append(all, types.PolicyDescriptorType{Arn: aws.String(arn)})
	}
	return all
}
