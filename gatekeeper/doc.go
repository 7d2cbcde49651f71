// Package gatekeeper is the domain: what a workload asks for, which rule
// decides, who approves it, and what is handed out once they did.
//
// Data goes one way: a CI token becomes a [Workload], rules make a [Decision]
// of it, the decision opens a [Request], people vote on it, an approved
// request yields a [Grant], and an exchanger turns the grant into a
// [Credential]. [Gate] runs these stages in order through small interfaces
// that this package declares itself, so it imports the standard library alone.
//
// Everything that decides is a pure function of values; everything that
// touches the world is behind an interface. The zero value of each security
// enum refuses.
package gatekeeper
