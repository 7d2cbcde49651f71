package gatekeeper

// Grant is the permission to obtain one credential, once. Its fields are
// unexported and only the request's state machine makes one, so an exchanger
// cannot be called without a redemption that was recorded first. The zero
// Grant permits nothing.
type Grant struct {
	request    Request
	workload   Workload // of the fresh token
	credential CredentialSpec
	redemption Redemption
}

// Valid says whether the grant came from the state machine.
func (g Grant) Valid() bool { return g.redemption.ID != "" }

// Request is the approved request.
func (g Grant) Request() Request { return g.request }

// Workload is the job that redeems, by its fresh token.
func (g Grant) Workload() Workload { return g.workload }

// Credential is what may be obtained.
func (g Grant) Credential() CredentialSpec { return g.credential }

// Redemption is the recorded intent.
func (g Grant) Redemption() Redemption { return g.redemption }
