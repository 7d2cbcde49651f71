package api

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// TokenAnswer is the answer of the token endpoint (RFC 8693 section 2.2.1),
// with the credential in the API's shape beside it: an AWS session is more
// than one string.
type TokenAnswer struct {
	AccessToken     string                `json:"access_token"`
	IssuedTokenType string                `json:"issued_token_type"`
	TokenType       string                `json:"token_type"` // Bearer, or N_A for what is no bearer token
	ExpiresIn       int64                 `json:"expires_in"`
	Scope           string                `json:"scope"`
	Request         string                `json:"request"` // req_…
	Credential      gatekeeper.Credential `json:"credential"`
}

// TokenError is the error of the token endpoint (RFC 6749 section 5.2).
type TokenError struct {
	ErrorBody
	VerificationURI string `json:"verification_uri,omitempty"` // where people decide, while they have not
	Interval        int    `json:"interval,omitempty"`         // seconds between two calls
}

func tokenAnswer(r gatekeeper.Request, c gatekeeper.Credential, now time.Time) TokenAnswer {
	a := TokenAnswer{
		ExpiresIn: max(0, int64(c.ExpiresAt.Sub(now).Seconds())), Request: r.ID, Credential: c,
		Scope: "environment:" + url.PathEscape(r.Environment) + " credential:" + url.PathEscape(c.Name),
	}
	a.AccessToken, a.IssuedTokenType, a.TokenType = issued(c)
	return a
}

// issued is the credential's one token. What is presented as a bearer token is
// Bearer; RFC 8693 section 2.2.1 calls the way of all others N_A.
func issued(c gatekeeper.Credential) (token, kind, use string) {
	switch {
	case c.AWS != nil:
		return c.AWS.SessionToken, typeAWS, "N_A"
	case c.GCP != nil:
		return c.GCP.AccessToken, typeAccessToken, "Bearer"
	case c.Azure != nil:
		return c.Azure.AccessToken, typeAccessToken, "Bearer"
	case c.Vault != nil:
		return c.Vault.Token, typeVault, "N_A" // X-Vault-Token
	case c.GitHub != nil:
		return c.GitHub.Token, typeAccessToken, "Bearer"
	case c.OIDC != nil:
		return c.OIDC.Token, typeJWT, "Bearer"
	}
	return "", "", "N_A"
}

// tokenFault is the standards' code and status for what went wrong. RFC 6749
// section 5.2 answers 400; what passes by itself is a 503.
func tokenFault(err *gatekeeper.Error) (gatekeeper.Code, int) {
	switch err.Code {
	case gatekeeper.CodeInvalidToken, gatekeeper.CodeNotFound:
		return gatekeeper.CodeInvalidRequest, http.StatusBadRequest // RFC 8693 section 2.2.2: so for a bad subject_token
	case gatekeeper.CodeExchangeFailed:
		if err.RetryAfter > 0 {
			return gatekeeper.CodeUnavailable, http.StatusServiceUnavailable
		}
		return codeInvalidTarget, http.StatusBadRequest // RFC 8693: unable to issue a token for the target
	case gatekeeper.CodeUnavailable:
		return err.Code, http.StatusServiceUnavailable
	case gatekeeper.CodeInvalidRequest, gatekeeper.CodeAccessDenied, gatekeeper.CodePending, gatekeeper.CodeExpired, gatekeeper.CodeSlowDown,
		codeUnsupportedGrant, codeInvalidScope, codeInvalidTarget:
		return err.Code, http.StatusBadRequest
	}
	return gatekeeper.CodeInternal, http.StatusInternalServerError
}

// refuseToken answers with an error of the token endpoint.
func (s *server) refuseToken(w *call, r *http.Request, request gatekeeper.Request, err error) {
	var coded *gatekeeper.Error
	if !errors.As(err, &coded) {
		coded = gatekeeper.Wrap(err, gatekeeper.CodeInternal, "internal error; the operator finds it by request_id")
	}
	code, status := tokenFault(coded)
	if errors.Is(err, errMethod) {
		status = http.StatusMethodNotAllowed
	}
	body := TokenError{ErrorBody: ErrorBody{Error: code, Description: asciiOnly(coded.Description), RequestID: w.id}}
	if code == gatekeeper.CodePending || code == gatekeeper.CodeSlowDown {
		body.Interval = int(pollEvery.Seconds())
		if request.ID != "" {
			body.VerificationURI = s.URL + "/requests/" + request.ID
		}
	} else {
		s.log(r, w.id, status, err)
	}
	if code == gatekeeper.CodeSlowDown || status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", strconv.Itoa(int(max(time.Second, coded.RetryAfter.Round(time.Second)).Seconds())))
	}
	reply(w, status, body)
}

// asciiOnly keeps descriptions to what RFC 6749 section 5.2 lets them hold.
func asciiOnly(s string) string {
	out := []rune(s)
	for i, r := range out {
		switch {
		case r == '"':
			out[i] = '\''
		case r < ' ' || r > '~' || r == '\\':
			out[i] = '?'
		}
	}
	return string(out)
}
