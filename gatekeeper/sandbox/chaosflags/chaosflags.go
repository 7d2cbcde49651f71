// Package chaosflags has the flags of the run of faults. It is for tests alone.
//
// `go test ./... -run Chaos -chaos.seed=1` hands them to the tests of every
// package, and those that do not know a flag fail. So all of them import this
// one.
package chaosflags

import "flag"

var (
	// Seed is that of the faults; 0: by the clock.
	Seed = flag.Uint64("chaos.seed", 0, "of the run of faults; 0: by the clock")
	// Minutes is how long faults go on; 0: a short form.
	Minutes = flag.Float64("chaos.minutes", 0, "how long the run of faults goes on; 0: a short form")
)
