package stsbox

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/cloudbox"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// withWebIdentity verifies the token as STS does: its issuer's provider, its
// keys, its times, its audience, and the role's trust.
func (s *STS) withWebIdentity(f url.Values) (string, error) {
	role, session, err := s.common(f, 12*time.Hour)
	if err != nil {
		return "", err
	}
	raw := f.Get("WebIdentityToken")
	if len(raw) < 4 || len(raw) > 20000 {
		return "", refuse("ValidationError", "webIdentityToken is not within 4 and 20000")
	}
	claims, err := s.verified(raw)
	if err != nil {
		return "", err
	}
	if role.Issuer == "" || role.Issuer != claims["iss"] {
		return "", refuse("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity")
	}
	for name, want := range role.Claims {
		if got, _ := claims[name].(string); got != want {
			return "", refuse("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity")
		}
	}
	session.SourceIdentity, _ = claims["https://aws.amazon.com/source_identity"].(string)
	if session.Tags, err = tokenTags(claims); err != nil {
		return "", err
	}
	return s.issue("AssumeRoleWithWebIdentity", session), nil
}

func (s *STS) verified(raw string) (map[string]any, error) {
	token, err := jwt.ParseSigned(raw, []jose.SignatureAlgorithm{jose.RS256, jose.ES256})
	if err != nil {
		return nil, refuse("InvalidIdentityToken", "the token cannot be read")
	}
	var std jwt.Claims
	if err := token.UnsafeClaimsWithoutVerification(&std); err != nil {
		return nil, refuse("InvalidIdentityToken", "the token cannot be read")
	}
	s.mu.Lock()
	audiences, ok := s.providers[std.Issuer]
	s.mu.Unlock()
	if !ok {
		return nil, refuse("InvalidIdentityToken", "No OpenIDConnect provider found in your account for %s", std.Issuer)
	}
	keys, err := cloudbox.FetchKeys(context.Background(), std.Issuer)
	if err != nil {
		return nil, refuse("IDPCommunicationError", "Couldn't retrieve verification key from your identity provider")
	}
	claims := map[string]any{}
	if err := token.Claims(keys, &claims); err != nil {
		return nil, refuse("InvalidIdentityToken", "Couldn't verify the signature")
	}
	if err := std.ValidateWithLeeway(jwt.Expected{Time: s.now()}, 0); err != nil {
		return nil, refuse("ExpiredTokenException", "Token expired")
	}
	if !slices.ContainsFunc(std.Audience, func(aud string) bool { return slices.Contains(audiences, aud) }) {
		return nil, refuse("InvalidIdentityToken", "Incorrect token audience")
	}
	return claims, nil
}

// tokenTags are the session tags that a token carries as claims.
func tokenTags(claims map[string]any) (map[string]string, error) {
	tags := map[string]string{}
	outer, _ := claims["https://aws.amazon.com/tags"].(map[string]any)
	principal, _ := outer["principal_tags"].(map[string]any)
	for key, value := range principal {
		list, _ := value.([]any)
		if len(list) != 1 {
			return nil, refuse("InvalidIdentityToken", "tag %s has not one value", key)
		}
		tags[key] = fmt.Sprint(list[0])
	}
	return tags, checkTags(tags)
}

func checkTags(tags map[string]string) error {
	if len(tags) > 50 {
		return refuse("ValidationError", "more than 50 tags")
	}
	for key, value := range tags {
		if !tagged(key, value) || strings.HasPrefix(strings.ToLower(key), "aws:") {
			return refuse("ValidationError", "tag %s does not fit", key)
		}
	}
	return nil
}

var accessKey = regexp.MustCompile(`Credential=([A-Z0-9]+)/`)

// caller is the access key that signed the call. The stand-in knows its keys
// and does not compute signatures.
func (s *STS) caller(r *http.Request) (string, error) {
	found := accessKey.FindStringSubmatch(r.Header.Get("Authorization"))
	s.mu.Lock()
	defer s.mu.Unlock()
	if found == nil || s.keys[found[1]] == "" {
		return "", &refusal{http.StatusForbidden, "InvalidClientTokenId", "The security token included in the request is invalid."}
	}
	return found[1], nil
}

func (s *STS) assumeRole(r *http.Request) (string, error) {
	key, err := s.caller(r)
	if err != nil {
		return "", err
	}
	role, session, err := s.common(r.Form, time.Hour)
	if err != nil {
		return "", err
	}
	if !slices.Contains(role.AccessKeys, key) || role.ExternalID != "" && role.ExternalID != r.Form.Get("ExternalId") {
		return "", &refusal{http.StatusForbidden, "AccessDenied", "User is not authorized to perform: sts:AssumeRole"}
	}
	for i := 1; r.Form.Get(fmt.Sprintf("Tags.member.%d.Key", i)) != ""; i++ {
		session.Tags[r.Form.Get(fmt.Sprintf("Tags.member.%d.Key", i))] = r.Form.Get(fmt.Sprintf("Tags.member.%d.Value", i))
	}
	session.SourceIdentity = r.Form.Get("SourceIdentity")
	if session.SourceIdentity != "" && !sessionName.MatchString(session.SourceIdentity) {
		return "", refuse("ValidationError", "sourceIdentity does not fit [\\w+=,.@-]{2,64}")
	}
	if err := checkTags(session.Tags); err != nil {
		return "", err
	}
	return s.issue("AssumeRole", session), nil
}

func (s *STS) callerIdentity(r *http.Request) (string, error) {
	key, err := s.caller(r)
	if err != nil {
		return "", err
	}
	arn := "arn:aws:iam::111122223333:user/" + key
	for _, session := range s.Sessions() {
		if session.AccessKeyID == key {
			arn = assumed(session)
		}
	}
	return fmt.Sprintf(`<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult><Arn>%s</Arn><UserId>AROASANDBOX</UserId><Account>111122223333</Account></GetCallerIdentityResult><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></GetCallerIdentityResponse>`, escape(arn)), nil
}
