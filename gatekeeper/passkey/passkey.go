// Package passkey keeps people's passkeys and checks what they sign: an
// approval that nobody can give with a Slack session alone (step_up: passkey).
package passkey

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net"
	"net/url"
	"slices"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"
)

// NoteKind is the kind of note that a person's key is kept in.
const NoteKind = "passkey"

// maxAge is how long a statement may wait for its signature.
const maxAge = 5 * time.Minute

// maxKeys bounds the keys of one person.
const maxKeys = 20

// Store keeps keys, each in the transaction of the event that tells of it.
type Store interface {
	NotesUnder(ctx context.Context, kind, prefix string) ([]gatekeeper.Note, error)
	Record(ctx context.Context, c gatekeeper.Change) error
}

// Options of a Keys. All but Now are needed.
type Options struct {
	URL   string // the gatekeeper's public one; its host is the relying party
	Store Store
	Now   func() time.Time // nil: time.Now
}

// Keys are all people's passkeys. It is safe for concurrent use.
type Keys struct {
	o      Options
	rp     *webauthn.WebAuthn
	rpID   string
	origin string
}

// Key is one passkey of a person. Its zero value can sign nothing.
type Key struct {
	Person     string              `json:"person"` // Slack user id
	Label      string              `json:"label"`  // given by the person
	Credential webauthn.Credential `json:"credential"`
	Via        string              `json:"via"` // how the enrolment was bound to the person: sso, link, passkey
	EnrolledAt time.Time           `json:"enrolled_at"`
	UsedAt     time.Time           `json:"used_at,omitzero"`
	RevokedAt  time.Time           `json:"revoked_at,omitzero"`
	Why        string              `json:"why,omitempty"` // it was revoked
}

// ID is the credential's id in base64url, as it stands in events and pages.
func (k Key) ID() string { return encode(k.Credential.ID) }

// Active says whether the key may sign.
func (k Key) Active() bool { return len(k.Credential.PublicKey) > 0 && k.RevokedAt.IsZero() }

// New refuses a gatekeeper without a host name: WebAuthn binds keys to
// domains, and an address is none (https://www.w3.org/TR/webauthn-3/#rp-id).
func New(o Options) (*Keys, error) {
	u, err := url.Parse(o.URL)
	if err != nil || u.Hostname() == "" || net.ParseIP(u.Hostname()) != nil {
		return nil, gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, "passkeys need a gatekeeper whose url has a host name, such as https://gatekeeper.example.com; %q has none", o.URL)
	}
	if o.Store == nil {
		return nil, gatekeeper.Errorf(gatekeeper.CodeInternal, "passkeys need a store")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	k := &Keys{o: o, rpID: u.Hostname(), origin: u.Scheme + "://" + u.Host}
	k.rp, err = webauthn.New(&webauthn.Config{
		RPID: k.rpID, RPDisplayName: "Gatekeeper", RPOrigins: []string{k.origin},
		// Which make of key people use is theirs to choose.
		AttestationPreference: protocol.PreferNoAttestation,
	})
	if err != nil {
		return nil, gatekeeper.Wrap(err, gatekeeper.CodeInvalidRequest, "passkeys cannot be served at %s", o.URL)
	}
	return k, nil
}

// Of are a person's keys, the oldest first, revoked ones included.
func (k *Keys) Of(ctx context.Context, person string) ([]Key, error) {
	notes, err := k.o.Store.NotesUnder(ctx, NoteKind, person+"/")
	if err != nil {
		return nil, err
	}
	keys := make([]Key, len(notes))
	for i, n := range notes {
		if err := json.Unmarshal(n.Value, &keys[i]); err != nil || keys[i].Person != person {
			return nil, gatekeeper.Wrap(err, gatekeeper.CodeInternal, "a stored passkey cannot be read")
		}
	}
	slices.SortStableFunc(keys, func(a, b Key) int { return a.EnrolledAt.Compare(b.EnrolledAt) })
	return keys, nil
}

// active are those that may sign.
func (k *Keys) active(ctx context.Context, person string) ([]Key, error) {
	keys, err := k.Of(ctx, person)
	return slices.DeleteFunc(keys, func(key Key) bool { return !key.Active() }), err
}

// Revoke ends a key: a lost one signs nothing from then on. by is who says so.
func (k *Keys) Revoke(ctx context.Context, person, id string, by gatekeeper.Actor, why string) error {
	keys, err := k.active(ctx, person)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(keys, func(key Key) bool { return key.ID() == id })
	if i < 0 {
		return gatekeeper.Errorf(gatekeeper.CodeNotFound, "there is no such passkey, or it is revoked already")
	}
	key := keys[i]
	key.RevokedAt, key.Why = k.o.Now().UTC(), why
	return k.keep(ctx, key, event(gatekeeper.EventPasskeyRevoked, key.RevokedAt, by, key, map[string]any{"reason": why}))
}

// keep stores the key with the event that tells of it, or neither.
func (k *Keys) keep(ctx context.Context, key Key, events ...gatekeeper.Event) error {
	body, err := json.Marshal(key)
	if err != nil {
		return err
	}
	return k.o.Store.Record(ctx, gatekeeper.Change{Events: events, Notes: []gatekeeper.Note{{Kind: NoteKind, Key: key.Person + "/" + key.ID(), Value: body}}})
}

// owner is a person as the library wants users.
type owner struct {
	id, name string
	keys     []Key
}

func (o owner) WebAuthnID() []byte          { return []byte(o.id) }
func (o owner) WebAuthnName() string        { return o.name }
func (o owner) WebAuthnDisplayName() string { return o.name }
func (o owner) WebAuthnCredentials() []webauthn.Credential {
	all := make([]webauthn.Credential, len(o.keys))
	for i, key := range o.keys {
		all[i] = key.Credential
	}
	return all
}

func (o owner) key(id []byte) (Key, bool) {
	i := slices.IndexFunc(o.keys, func(k Key) bool { return string(k.Credential.ID) == string(id) })
	if i < 0 {
		return Key{}, false
	}
	return o.keys[i], true
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
