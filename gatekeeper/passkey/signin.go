package passkey

import (
	"context"
	"regexp"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"
)

// BeginSignIn asks for any passkey that the browser has for us.
func (k *Keys) BeginSignIn() (options, session []byte, err error) {
	assertion, data, err := k.rp.BeginDiscoverableLogin(webauthn.WithUserVerification(protocol.VerificationRequired))
	if err != nil {
		return nil, nil, refused(err, "nobody can sign in by passkey now")
	}
	data.Expires = k.o.Now().Add(maxAge)
	return pair(assertion, data)
}

// slackUser is what a user handle of ours looks like; it becomes part of a
// key under which notes are looked up.
var slackUser = regexp.MustCompile(`^[UW][A-Z0-9]{2,20}$`)

// FinishSignIn tells whose passkey answered.
func (k *Keys) FinishSignIn(ctx context.Context, session, response []byte) (person string, err error) {
	data, err := k.resumed(session)
	if err != nil {
		return "", err
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes(response)
	if err != nil {
		return "", refused(err, "the browser's answer is no signature")
	}
	handle := string(parsed.Response.UserHandle)
	if !slackUser.MatchString(handle) {
		return "", gatekeeper.Errorf(gatekeeper.CodeAccessDenied, "the passkey is none of this gatekeeper's")
	}
	keys, err := k.active(ctx, handle)
	if err != nil {
		return "", err
	}
	who := owner{handle, handle, keys}
	used, err := k.rp.ValidateDiscoverableLogin(func(_, _ []byte) (webauthn.User, error) { return who, nil }, data, parsed)
	if err != nil {
		return "", refused(err, "the passkey is unknown here, or revoked")
	}
	return handle, k.used(ctx, who, used)
}
