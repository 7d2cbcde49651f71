package passkey

import (
	"bytes"
	"context"
	"encoding/json"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"
)

// BeginEnrolment gives what the browser is asked (the options of
// navigator.credentials.create) and a session that has to come back sealed.
// The caller vouches for the person: by a fresh sign-in or an admin's link.
func (k *Keys) BeginEnrolment(ctx context.Context, p gatekeeper.Person) (options, session []byte, err error) {
	keys, err := k.active(ctx, p.Slack)
	if err != nil {
		return nil, nil, err
	}
	if len(keys) >= maxKeys {
		return nil, nil, gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, "you have %d passkeys; revoke one before you add another", len(keys))
	}
	who := owner{p.Slack, p.Name, keys}
	creation, data, err := k.rp.BeginRegistration(who,
		webauthn.WithExclusions(webauthn.Credentials(who.WebAuthnCredentials()).CredentialDescriptors()),
		webauthn.WithAuthenticatorSelection(protocol.AuthenticatorSelection{
			// Verification of the person is what makes it more than a device
			// that lies around; a key found by itself can also sign in.
			UserVerification: protocol.VerificationRequired, ResidentKey: protocol.ResidentKeyRequirementPreferred,
		}))
	if err != nil {
		return nil, nil, refused(err, "a passkey cannot be made now")
	}
	data.Expires = k.o.Now().Add(maxAge)
	return pair(creation, data)
}

// FinishEnrolment keeps the new key. via says how the person was known.
func (k *Keys) FinishEnrolment(ctx context.Context, p gatekeeper.Person, via, label string, session, response []byte) (Key, error) {
	data, err := k.resumed(session)
	if err != nil {
		return Key{}, err
	}
	keys, err := k.active(ctx, p.Slack)
	if err != nil {
		return Key{}, err
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes(response)
	if err != nil {
		return Key{}, refused(err, "the browser's answer is no passkey")
	}
	credential, err := k.rp.CreateCredential(owner{p.Slack, p.Name, keys}, data, parsed)
	if err != nil {
		return Key{}, refused(err, "the passkey does not hold; it has to verify who you are, by PIN or biometrics")
	}
	key := Key{Person: p.Slack, Label: label, Credential: *credential, Via: via, EnrolledAt: k.o.Now().UTC()}
	key.Credential.Attestation = webauthn.CredentialAttestation{} // none was asked for
	return key, k.keep(ctx, key, enrolled(key, Self(p)))
}

// pair marshals what goes to the browser and what stays with us.
func pair(options any, session *webauthn.SessionData) (a, b []byte, err error) {
	if a, err = json.Marshal(options); err != nil {
		return nil, nil, err
	}
	b, err = json.Marshal(session)
	return a, b, err
}

// refused keeps the library's words for the log: they tell a stranger how
// far they came.
func refused(err error, what string) error {
	return gatekeeper.Wrap(detailed{err}, gatekeeper.CodeAccessDenied, "%s", what)
}

// detailed also tells the library's developer information.
type detailed struct{ error }

func (d detailed) Unwrap() error { return d.error }

func (d detailed) Error() string {
	var b bytes.Buffer
	b.WriteString(d.error.Error())
	if e, ok := d.error.(*protocol.Error); ok && e.DevInfo != "" { //nolint:errorlint // only its own top level has more to say
		b.WriteString(": " + e.DevInfo)
	}
	return b.String()
}
