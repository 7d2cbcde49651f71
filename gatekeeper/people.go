package gatekeeper

// PersonEntry is one person of the configuration's `people`: the only map
// between accounts of different systems.
type PersonEntry struct {
	Name     string
	Slack    string // immutable user id
	GitHub   string // login
	GitHubID string // immutable id; wins over the login where both are known
	Email    string // for sign-in only, never for identity at a click
}

// People is the configured identity map.
type People []PersonEntry
