package web

import "net/http"

// RulesInForce is what decides now.
type RulesInForce struct {
	Digest string // hex SHA-256
	Source string // where they come from
	Fault  string // why newer files are not in force; "" when they are
	Rules  []RuleLine
}

// RuleLine is one rule, in the order in which rules are looked at.
type RuleLine struct {
	Name, File   string
	Line         int
	Observe      bool
	Environments string
	Match        []string // key = patterns
	Approval     string   // in words
	Credentials  []string
}

func (p *pages) rulesPage(w http.ResponseWriter, _ *http.Request, s session) error {
	var in RulesInForce
	if p.Rules != nil {
		in = p.Rules()
	}
	p.views.show(w, http.StatusOK, "rules", view{Title: "Rules in force", Me: s, At: "rules", Body: in})
	return nil
}
