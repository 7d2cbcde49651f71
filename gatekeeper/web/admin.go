package web

import (
	"crypto/rand"
	"net/http"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/passkey"
)

// purposeLink is what links and orders are sealed for.
const purposeLink = "link"

// What a link may be for.
const (
	LinkEnrol  = "enrol"  // its person adds a passkey
	LinkRevoke = "revoke" // an admin ends a person's passkey
	LinkList   = "list"   // an admin looks at a person's passkeys
)

// Link is what an admin, who holds the session key, allows or orders. It is
// good for an hour, and an enrolment for one key.
type Link struct {
	Do, Person string
	Key        string // of revoke: the credential id
	Once       string // made by Seal
}

// Seal is the link's text. secret is the gatekeeper's session key.
func (l Link) Seal(secret []byte, now func() time.Time) (string, error) {
	s, err := newSealer(secret, now)
	if err != nil {
		return "", err
	}
	l.Once = rand.Text()
	return seal(s, purposeLink, l, linkTime)
}

// admin carries out an order of the command line, which holds the same key.
// The running service does it because it alone writes to its database.
func (p *pages) admin(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Link string `json:"link"`
	}
	if err := read(r, &in); err != nil {
		p.failScript(w, r, err)
		return
	}
	link, ok := unseal[Link](p.seal, purposeLink, in.Link)
	if !ok || p.Keys == nil {
		p.failScript(w, r, gatekeeper.Errorf(gatekeeper.CodeAccessDenied, "the order is not sealed with this gatekeeper's session key"))
		return
	}
	switch link.Do {
	case LinkList:
		keys, err := p.Keys.Of(r.Context(), link.Person)
		p.script(w, r, listed(keys), err)
	case LinkRevoke:
		err := p.Keys.Revoke(r.Context(), link.Person, link.Key, gatekeeper.Actor{Kind: "gatekeeper", ID: "admin"}, "by an admin")
		p.script(w, r, []KeyLine{}, err)
	default:
		p.failScript(w, r, gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, "there is no such order"))
	}
}

// KeyLine is a passkey as the command line shows it.
type KeyLine struct {
	ID         string     `json:"id"`
	Label      string     `json:"label"`
	Via        string     `json:"via"`
	EnrolledAt time.Time  `json:"enrolled_at"`
	RevokedAt  *time.Time `json:"revoked_at,omitempty"`
	Why        string     `json:"why,omitempty"`
}

func listed(keys []passkey.Key) []KeyLine {
	lines := []KeyLine{}
	for _, k := range keys {
		l := KeyLine{ID: k.ID(), Label: k.Label, Via: k.Via, EnrolledAt: k.EnrolledAt, Why: k.Why}
		if !k.RevokedAt.IsZero() {
			l.RevokedAt = &k.RevokedAt
		}
		lines = append(lines, l)
	}
	return lines
}
