package passkey

import (
	"crypto/rand"
	"maps"
	"strings"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// event tells of a key. Its public part is in the enrolment's event, so that
// signatures can be checked with the ledger alone.
func event(t gatekeeper.EventType, at time.Time, by gatekeeper.Actor, key Key, more map[string]any) gatekeeper.Event {
	data := map[string]any{"person": key.Person, "credential_id": key.ID(), "label": key.Label}
	maps.Copy(data, more)
	return gatekeeper.Event{ID: "evt_" + strings.ToLower(rand.Text()), Type: t, Time: at.UTC(), Actor: by, Data: data}
}

func enrolled(key Key, by gatekeeper.Actor) gatekeeper.Event {
	c := key.Credential
	return event(gatekeeper.EventPasskeyEnrolled, key.EnrolledAt, by, key, map[string]any{
		"public_key": encode(c.PublicKey), "aaguid": encode(c.Authenticator.AAGUID), "attestation": c.AttestationFormat,
		"via": key.Via, "user_verified": c.Flags.UserVerified, "synced": c.Flags.BackupEligible,
	})
}

// Self is a person as the actor of events about their own keys.
func Self(p gatekeeper.Person) gatekeeper.Actor {
	return gatekeeper.Actor{Kind: "person", ID: "slack:" + p.Slack, Name: p.Name}
}
