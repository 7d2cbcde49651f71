package rules

import "github.com/gatekeeper-ci/gatekeeper/gatekeeper"

// warnExchange: a role that trusts the CI's issuer can be assumed by any job
// that asks the CI for a token (threats row 37).
func (p *parser) warnExchange(r *rule, at places) {
	for i, c := range r.Credentials {
		if c.Way() == gatekeeper.ExchangeWorkloadToken {
			at.exchanges[i].Warn("workload_token can be gone around: any job can present its own token to %s; "+
				"exchange: gatekeeper_token cannot, or let %s want the environment and protect it in GitHub", cloudName(c.Type), trust(c.Type))
		}
	}
}

func cloudName(kind string) string {
	return map[string]string{"aws": "AWS", "gcp": "Google Cloud", "azure": "Entra ID", "vault": "Vault"}[kind]
}

// trust is what decides there whose tokens are taken.
func trust(kind string) string {
	return map[string]string{"aws": "the role's trust policy", "gcp": "the provider's attribute condition",
		"azure": "the federated credential's subject", "vault": "the role's bound_claims"}[kind]
}
