package gatekeeper

import "testing"

// The statuses are a promise to CI (contract 3); what has no row is a fault of
// ours, whatever it is called.
func TestStatus(t *testing.T) {
	for code, want := range map[Code]int{
		CodeInvalidRequest: 400, CodeInvalidToken: 401, CodeAccessDenied: 403, CodeStepUp: 403, CodeVoteRefused: 403, CodeNotFound: 404,
		CodePending: 409, CodeExpired: 410, CodeSlowDown: 429, CodeExchangeFailed: 502, CodeUnavailable: 503,
		CodeInternal: 500, CodeExchangeUnknown: 500, "": 500, "another": 500,
	} {
		if got := code.Status(); got != want {
			t.Errorf("%q is %d, want %d", code, got, want)
		}
	}
}
