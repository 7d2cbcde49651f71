package oidc

// Forget makes each token one that was never seen.
func Forget(v *Verifier) {
	for _, t := range v.issuers {
		t.seen = memo{}
	}
}
