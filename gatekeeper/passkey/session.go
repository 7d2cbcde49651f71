package passkey

import (
	"encoding/json"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/go-webauthn/webauthn/webauthn"
)

// resumed reads a ceremony's session. Its end is checked by our clock, and
// the library gets none to check by its own.
func (k *Keys) resumed(session []byte) (webauthn.SessionData, error) {
	var data webauthn.SessionData
	if err := json.Unmarshal(session, &data); err != nil {
		return data, refused(err, "what was begun cannot be read; begin again")
	}
	if data.Expires.IsZero() || k.o.Now().After(data.Expires) {
		return data, gatekeeper.Errorf(gatekeeper.CodeExpired, "that took too long; begin again")
	}
	data.Expires = time.Time{}
	return data, nil
}
