package gatekeeper

import "time"

// EventType names what happened. The names are part of the export formats
// and never change their meaning.
type EventType string

// The events of the ledger.
const (
	EventRequestOpened     EventType = "request.opened"
	EventRequestApproved   EventType = "request.approved"
	EventRequestDenied     EventType = "request.denied"
	EventRequestExpired    EventType = "request.expired"
	EventRequestCanceled   EventType = "request.canceled"
	EventRequestSuperseded EventType = "request.superseded"
	EventRequestRevoked    EventType = "request.revoked"
	EventRequestBreakGlass EventType = "request.break_glass" // approved in an emergency, beside request.approved
	EventRequestAdopted    EventType = "request.adopted"     // a job's token turned out to be of its deployment
	EventRequestAttested   EventType = "request.attested"    // its job had artifacts attested as approved
	EventRequestRefused    EventType = "request.refused"     // never opened: no rule allows it
	EventVoteCounted       EventType = "vote.counted"
	EventVoteRefused       EventType = "vote.refused" // a click that does not count, and why

	EventRedemptionIntended  EventType = "redemption.intended"  // before the cloud is asked
	EventRedemptionSucceeded EventType = "redemption.succeeded" // credentials were handed out
	EventRedemptionFailed    EventType = "redemption.failed"    // the cloud refused
	EventRedemptionUnknown   EventType = "redemption.unknown"   // we stopped between the two
	EventRedemptionRefused   EventType = "redemption.refused"   // asked for, not allowed

	EventRevocationRequested EventType = "credential.revocation_requested" // of all that a request handed out, and by whom
	EventCredentialRevoked   EventType = "credential.revoked"              // it opens nothing any more
	EventRevocationFailed    EventType = "credential.revocation_failed"    // and what people can do instead

	EventPasskeyEnrolled EventType = "passkey.enrolled" // a person's new key, with its public part
	EventPasskeyRevoked  EventType = "passkey.revoked"
	EventPasskeyRefused  EventType = "passkey.refused" // a proof that did not hold, e.g. of a cloned key
	EventPersonSignedIn  EventType = "person.signed_in"
	EventPersonRefused   EventType = "person.refused" // a sign-in that proved nobody of ours

	EventRulesLoaded   EventType = "rules.loaded"
	EventRulesRejected EventType = "rules.rejected" // a broken set; the rules in force stay

	// What the ledger says of itself. These are never pruned.
	EventKeyRotated EventType = "ledger.key_rotated" // its next key, told under the one in force
	EventPruned     EventType = "ledger.pruned"      // payloads of old events were replaced by their hashes
)

// Event is one thing that happened, as the ledger keeps it. It never holds a
// token or a credential.
type Event struct {
	ID      string         `json:"id"` // evt_…
	Type    EventType      `json:"type"`
	Time    time.Time      `json:"time"` // UTC
	Request string         `json:"request,omitempty"`
	State   State          `json:"state,omitempty"` // the request's state after the event
	Actor   Actor          `json:"actor"`
	Data    map[string]any `json:"data,omitempty"`
}

// Actor is who caused an event.
type Actor struct {
	Kind string `json:"kind"` // workload, person or gatekeeper
	ID   string `json:"id"`   // the workload's subject, the Slack user id
	Name string `json:"name,omitempty"`
}

// event records something about the request as it stands after it. The gate
// gives the id.
func (r Request) event(t EventType, at time.Time, by Actor, data map[string]any) Event {
	return Event{Type: t, Time: at.UTC(), Request: r.ID, State: r.State, Actor: by, Data: data}
}

func workloadActor(w Workload) Actor {
	return Actor{Kind: "workload", ID: w.Subject, Name: w.Repository}
}

func personActor(p Person) Actor { return Actor{Kind: "person", ID: "slack:" + p.Slack, Name: p.Name} }

func ourselves(what string) Actor { return Actor{Kind: "gatekeeper", ID: what} }
