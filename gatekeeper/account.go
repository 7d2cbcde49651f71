package gatekeeper

import "strings"

// Account is a person's account at the CI's forge.
type Account struct {
	Login string `json:"login"`
	ID    string `json:"id,omitempty"`    // immutable id, where told
	Forge string `json:"forge,omitempty"` // "" is GitHub, else the issuer's type: one name may be two people's
}

// Starter is the account that the workload's token says started it.
func (w Workload) Starter() Account {
	a := Account{Login: w.Actor, ID: w.ActorID}
	if w.IssuerType != "github" {
		a.Forge = w.IssuerType
	}
	return a
}

// known is the account as people know it. Where they name no account of its
// forge at all, people are taken to have the name that they have on GitHub;
// ids of two forges never mean the same.
func (p People) known(a Account) (known Account, assumed bool) {
	if a.Forge == "" || (a.Forge == "gitlab" && p.nameGitLab()) {
		return a, false
	}
	return Account{Login: a.Login}, true
}

func (p People) nameGitLab() bool {
	for _, e := range p {
		if e.has("gitlab") {
			return true
		}
	}
	return false
}

// has says whether the person's account at that forge is known.
func (e PersonEntry) has(forge string) bool {
	login, id := e.at(forge)
	return login != "" || id != ""
}

func (e PersonEntry) at(forge string) (login, id string) {
	switch forge {
	case "":
		return e.GitHub, e.GitHubID
	case "gitlab":
		return e.GitLab, e.GitLabID
	}
	return "", ""
}

// sameAccount compares by id where both sides know it: logins can be renamed
// and taken over. Logins compare without case, as forges do.
func sameAccount(e PersonEntry, a Account) bool {
	login, id := e.at(a.Forge)
	if id != "" && a.ID != "" {
		return id == a.ID
	}
	return login != "" && strings.EqualFold(login, a.Login)
}
