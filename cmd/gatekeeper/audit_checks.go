package main

import (
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/ledger"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/passkey"
)

// eventChecks hold the content of events to more than their hashes, whenever
// the ledger or a bundle is verified; see ledger.Check. They are fresh for
// each verification. A part of the ledger may lack the enrolments of the keys
// that signed in it.
func eventChecks(part bool) ledger.Checks {
	proofs := &passkey.Checker{Part: part}
	return ledger.Checks{
		gatekeeper.EventPasskeyEnrolled: proofs.Check,
		gatekeeper.EventPasskeyRevoked:  proofs.Check,
		gatekeeper.EventVoteCounted:     proofs.Check,
	}
}
