package gatekeeper

import "time"

// Ask is what a workload asks for.
type Ask struct {
	Environment string
	Credentials []string // names of the rule's credentials; empty: all
	Reason      string   // shown to approvers
}

// RedeemAsk is what a workload redeems.
type RedeemAsk struct {
	Name         string // of the credential
	SubjectToken string // the CI's token for the cloud, where the credential needs one
}

// Wait says how long to wait for a change of a request, and which version the
// caller has seen. The zero value does not wait.
type Wait struct {
	For  time.Duration
	Seen int64 // answer at once when the request is newer; 0: newer than at the call
}
