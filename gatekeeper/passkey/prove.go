package passkey

import (
	"context"
	"encoding/json"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"
)

// BeginProof gives what the browser is asked (the options of
// navigator.credentials.get): a signature over the statement by one of its
// person's keys, with the person verified.
func (k *Keys) BeginProof(ctx context.Context, s gatekeeper.Statement) ([]byte, error) {
	who, err := k.signer(ctx, s)
	if err != nil {
		return nil, err
	}
	assertion, _, err := k.rp.BeginLogin(who, webauthn.WithChallenge(s.Challenge()), webauthn.WithUserVerification(protocol.VerificationRequired))
	if err != nil {
		return nil, refused(err, "no signature can be asked for now")
	}
	return json.Marshal(assertion)
}

// FinishProof checks the signature and gives the evidence that goes into the
// ledger. Nothing of the ceremony is taken on trust: the challenge is made of
// the statement again.
func (k *Keys) FinishProof(ctx context.Context, s gatekeeper.Statement, response []byte) (Evidence, error) {
	if age := k.o.Now().Sub(s.At); age > maxAge || age < -time.Minute {
		return Evidence{}, gatekeeper.Errorf(gatekeeper.CodeExpired, "what you signed is from %s; look at the request again and sign anew", s.At.Format(time.RFC3339))
	}
	who, err := k.signer(ctx, s)
	if err != nil {
		return Evidence{}, err
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes(response)
	if err != nil {
		return Evidence{}, refused(err, "the browser's answer is no signature")
	}
	used, err := k.rp.ValidateLogin(who, k.session(who, s.Challenge()), parsed)
	if err != nil {
		return Evidence{}, refused(err, "the signature does not hold; it has to be of your own passkey, over this request, with your PIN or biometrics")
	}
	if err := k.used(ctx, who, used); err != nil {
		return Evidence{}, err
	}
	return k.evidence(s, used.PublicKey, parsed)
}

// signer is the statement's person with their keys.
func (k *Keys) signer(ctx context.Context, s gatekeeper.Statement) (owner, error) {
	keys, err := k.active(ctx, s.Person)
	if err == nil && len(keys) == 0 {
		err = gatekeeper.Errorf(gatekeeper.CodeAccessDenied, "you have no passkey yet; enrol one first")
	}
	return owner{s.Person, s.Person, keys}, err
}

// session is what a login has to fulfil.
func (k *Keys) session(who owner, challenge []byte) webauthn.SessionData {
	data := webauthn.SessionData{
		Challenge: encode(challenge), RelyingPartyID: k.rpID, UserID: who.WebAuthnID(), UserVerification: protocol.VerificationRequired,
	}
	for _, key := range who.keys {
		data.AllowedCredentialIDs = append(data.AllowedCredentialIDs, key.Credential.ID)
	}
	return data
}

// used notes the key's counter. One that did not grow is the sign of a copy
// (https://www.w3.org/TR/webauthn-3/#sctn-sign-counter): the key ends there.
func (k *Keys) used(ctx context.Context, who owner, credential *webauthn.Credential) error {
	key, ok := who.key(credential.ID)
	if !ok {
		return gatekeeper.Errorf(gatekeeper.CodeAccessDenied, "the passkey is none of yours")
	}
	now := k.o.Now().UTC()
	if !credential.Authenticator.CloneWarning {
		key.Credential, key.UsedAt = *credential, now
		return k.keep(ctx, key)
	}
	why := "its counter did not grow, so a copy of it may exist"
	key.RevokedAt, key.Why = now, why
	by := gatekeeper.Actor{Kind: "gatekeeper", ID: "passkey"}
	err := k.keep(ctx, key,
		event(gatekeeper.EventPasskeyRefused, now, by, key, map[string]any{"reason": why, "counter": credential.Authenticator.SignCount}),
		event(gatekeeper.EventPasskeyRevoked, now, by, key, map[string]any{"reason": why}))
	if err != nil {
		return err
	}
	return gatekeeper.Errorf(gatekeeper.CodeAccessDenied, "this passkey may have been copied (%s), so it is revoked now; enrol another one", why)
}
