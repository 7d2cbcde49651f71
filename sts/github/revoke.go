package github

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/sts/internal/ask"
)

// held is a token that this process handed out. GitHub revokes an installation
// token only with the token itself
// (https://docs.github.com/rest/apps/installations#revoke-an-installation-access-token),
// and tokens are never stored, so it is remembered in memory alone, for the
// hour that it lives.
type held struct {
	token   string
	expires time.Time
}

// maxHeld bounds the memory; beyond it the oldest are forgotten.
const maxHeld = 4096

func (e *Exchanger) hold(redemption, token string, expires time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	oldest := ""
	for id, h := range e.held {
		if !e.o.Now().Before(h.expires) {
			delete(e.held, id)
		} else if oldest == "" || h.expires.Before(e.held[oldest].expires) {
			oldest = id
		}
	}
	if len(e.held) >= maxHeld {
		delete(e.held, oldest)
	}
	e.held[redemption] = held{token, expires}
}

// Revoke implements gatekeeper.Revoker. The process that handed the token out
// revokes it; any other says what people can do, beside a temporary error
// where another replica may be that process.
func (e *Exchanger) Revoke(ctx context.Context, spec gatekeeper.CredentialSpec, d gatekeeper.Redemption) (gatekeeper.Revocation, error) {
	if spec.GitHub == nil {
		return gatekeeper.Revocation{}, gatekeeper.Errorf(gatekeeper.CodeInternal, "there is no GitHub token to revoke")
	}
	if !d.ExpiresAt.IsZero() && !e.o.Now().Before(d.ExpiresAt) {
		return gatekeeper.Revocation{Revoked: true, Detail: "the token ended by itself"}, nil
	}
	e.mu.Lock()
	h, ok := e.held[d.ID]
	e.mu.Unlock()
	if !ok && e.o.Replicas {
		// The work goes to whichever replica takes it next. When none held the
		// token, people are told all the same.
		return byPeople(*spec.GitHub, d), &gatekeeper.Error{Code: gatekeeper.CodeUnavailable, RetryAfter: 2 * time.Second,
			Description: "no replica that was asked holds the token any more"}
	}
	if !ok {
		return byPeople(*spec.GitHub, d), nil
	}
	if err := e.end(ctx, h.token); err != nil {
		return gatekeeper.Revocation{}, err
	}
	return gatekeeper.Revocation{Revoked: true, Detail: "GitHub revoked the token"}, nil
}

// end revokes a token. One that is not known any more is at its end already.
func (e *Exchanger) end(ctx context.Context, token string) error {
	gone := false
	err := e.ask.Do(ctx, ask.Call{
		Cloud: cloud, Method: http.MethodDelete, URL: e.o.APIURL + "/installation/token", Header: headers(token), Secrets: []string{token}, Repeatable: true,
		Refused: func(status int) { gone = status == http.StatusUnauthorized },
	}, nil)
	if gone {
		return nil
	}
	return err
}

func byPeople(spec gatekeeper.GitHubSpec, d gatekeeper.Redemption) gatekeeper.Revocation {
	owner, _, _ := strings.Cut(spec.Repositories[0], "/")
	what := "the gatekeeper's App at " + owner
	if d.Handle != "" {
		what += " (" + d.Handle + ")"
	}
	until := ""
	if !d.ExpiresAt.IsZero() {
		until = "; it ends at " + d.ExpiresAt.UTC().Format(time.RFC3339)
	}
	return gatekeeper.Revocation{
		Detail: "GitHub revokes an installation token only with the token itself, which the gatekeeper kept in memory alone and has no more" + until,
		Todo:   "suspend " + what + ": Settings, GitHub Apps, Configure, Suspend your installation; that stops all of its tokens",
	}
}
