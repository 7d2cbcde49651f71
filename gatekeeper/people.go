package gatekeeper

import "strings"

// PersonEntry is one person of the configuration's `people`: the only map
// between accounts of different systems.
type PersonEntry struct {
	Name     string
	Slack    string // immutable user id
	GitHub   string // login
	GitHubID string // immutable id; wins over the login where both are known
	GitLab   string // username
	GitLabID string // immutable id; wins over the username where both are known
	Email    string // for sign-in only, never for identity at a click
	Subject  string // sub at the company's identity provider; wins over the email where it is given
}

// People is the configured identity map.
type People []PersonEntry

// BySlack finds the entry of a Slack user. Ambiguity is nobody: two entries
// for one account mean that the map cannot be trusted for it (row 24).
func (p People) BySlack(id string) (PersonEntry, bool) {
	return p.only(func(e PersonEntry) bool { return id != "" && e.Slack == id })
}

// BySubject finds who signed in at the company's identity provider: by the
// immutable subject, and by an email address that the provider verified only
// where the entry names no subject. Ambiguity is nobody (threats row 24).
func (p People) BySubject(subject, verifiedEmail string) (PersonEntry, bool) {
	if e, ok := p.only(func(e PersonEntry) bool { return subject != "" && e.Subject == subject }); ok {
		return e, e.Slack != ""
	}
	e, ok := p.only(func(e PersonEntry) bool {
		return verifiedEmail != "" && e.Subject == "" && strings.EqualFold(e.Email, verifiedEmail)
	})
	return e, ok && e.Slack != ""
}

// ByAccount finds the entry of a forge account; ambiguity is nobody.
func (p People) ByAccount(a Account) (PersonEntry, bool) {
	a, _ = p.known(a)
	return p.only(func(e PersonEntry) bool { return sameAccount(e, a) })
}

func (p People) only(match func(PersonEntry) bool) (PersonEntry, bool) {
	var found []PersonEntry
	for _, e := range p {
		if match(e) {
			found = append(found, e)
		}
	}
	if len(found) != 1 {
		return PersonEntry{}, false
	}
	return found[0], true
}

// selfApproval says why p may be one of the initiators, "" when p certainly
// is none of them. Who cannot be told apart counts as one (contract 5:
// self_approval).
func selfApproval(p Person, in Initiators, people People) string {
	if !in.Known {
		return in.Why
	}
	voter, voterKnown := people.BySlack(p.Slack)
	for _, a := range in.People {
		if why := sameAs(p, voter, voterKnown, a, people); why != "" {
			return why
		}
	}
	return ""
}

func sameAs(p Person, voter PersonEntry, voterKnown bool, a Account, people People) string {
	if isBot(a.Login) {
		return "no person stands behind " + a.Login + ", so self-approval cannot be excluded; the rule would have to set self_approval: true"
	}
	a, assumed := people.known(a)
	if voterKnown && sameAccount(voter, a) {
		return "you started this run (as " + a.Login + "), and its rule does not allow self-approval"
	}
	if e, ok := people.ByAccount(a); ok && e.Slack != "" && (voterKnown || !assumed) {
		if e.Slack == p.Slack {
			return "you started this run (as " + a.Login + "), and its rule does not allow self-approval"
		}
		return ""
	}
	if voterKnown && voter.has(a.Forge) {
		return ""
	}
	return "you cannot be told apart from " + a.Login + ", who started this run; ask the platform team to add you both to people in gatekeeper.yaml"
}
