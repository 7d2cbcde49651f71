package slack

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// window is how old, or how early, a signed callback may be.
const window = 5 * time.Minute

// signed checks Slack's v0 signature over the raw body
// (https://docs.slack.dev/authentication/verifying-requests-from-slack) before
// anything parses it. It is our own because the SDK's verifier tells what the
// right signature would have been in its errors or debug output, by version
// (threats row 22); this one has a single answer that says nothing. It also
// takes the time from our clock.
func (s *Slack) signed(h http.Header, body []byte) error {
	refused := gatekeeper.Errorf(gatekeeper.CodeInvalidToken, "the callback is not signed with the configured slack.signing_secret, or not now")
	if s.SigningSecret == "" { // Socket Mode: nothing can be signed
		return refused
	}
	timestamp := h.Get("X-Slack-Request-Timestamp")
	sent, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil || s.Clock().Sub(time.Unix(sent, 0)).Abs() > window {
		return refused
	}
	given, ok := strings.CutPrefix(h.Get("X-Slack-Signature"), "v0=")
	raw, err := hex.DecodeString(given)
	if !ok || err != nil || !hmac.Equal(raw, signature(s.SigningSecret, timestamp, body)) {
		return refused
	}
	return nil
}

func signature(secret, timestamp string, body []byte) []byte {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte("v0:" + timestamp + ":"))
	mac.Write(body)
	return mac.Sum(nil)
}
