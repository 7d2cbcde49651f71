package door

import _ "github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/chaosflags" // takes the flags of go test ./... -run Chaos
