package limit

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// Handler stands before everything that strangers reach. An address that did
// too much is refused before its body is read and its token looked at.
func (l *Limiter) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := connOf(r.Context())
		if c == nil {
			next.ServeHTTP(w, r)
			return
		}
		free := slices.ContainsFunc(l.Free, func(prefix string) bool { return strings.HasPrefix(r.URL.Path, prefix) })
		if err := l.enter(c, r, free); err != nil {
			w.Header().Set("Connection", "close")
			l.Refuse(w, r, err)
			return
		}
		defer func() {
			if !c.admitted && !free {
				l.strangers.charge(c.client, l.Now(), callCost)
			}
		}()
		defer l.counted(w, r, c.client)()
		next.ServeHTTP(w, r)
	})
}

func (l *Limiter) enter(c *conn, r *http.Request, free bool) error {
	c.client, c.admitted, c.familiar = c.peer, false, 0
	if c.proxied || len(r.Header["X-Forwarded-For"]) > 0 || len(r.Header["Forwarded"]) > 0 {
		c.client = group(l.client(peer(c.RemoteAddr()), r.Header))
	}
	c.header.whole.Store(true)
	shed, ok := l.conns.call(c, c.client)
	l.shed(shed)
	if !ok {
		return l.slowDown(Connections, 0, "your address has too many calls open; close some")
	}
	wait := l.strangers.wait(c.client, l.Now())
	if free || wait == 0 {
		return nil
	}
	if issuer, subject, ok := claimed(r); ok {
		if id := l.known.id(c.client, issuer, subject); l.known.has(id) && l.familiar.wait(id, l.Now()) == 0 {
			c.familiar = id
			return nil
		}
	}
	return l.slowDown(Address, wait, "too many calls without a valid token came from your address")
}

// Verifier counts what v says of a call's token: for the address of who showed
// one that does not hold, for the repository and issuer of one that does.
func (l *Limiter) Verifier(v gatekeeper.Verifier) gatekeeper.Verifier { return verifier{v, l} }

type verifier struct {
	gatekeeper.Verifier
	limiter *Limiter
}

// Verify implements gatekeeper.Verifier.
func (v verifier) Verify(ctx context.Context, raw, audience string) (gatekeeper.Workload, error) {
	w, err := v.Verifier.Verify(ctx, raw, audience)
	c := connOf(ctx)
	switch {
	case c == nil:
	case gatekeeper.CodeOf(err) == gatekeeper.CodeInvalidToken:
		v.limiter.failed(c)
	case err == nil && !c.admitted: // a call may show several tokens, and its own several times
		err = v.limiter.admit(c, w)
	}
	if err != nil {
		return gatekeeper.Workload{}, err
	}
	return w, nil
}

func (l *Limiter) failed(c *conn) {
	if c.familiar != 0 {
		l.familiar.charge(c.familiar, l.Now(), failureCost)
		return
	}
	l.strangers.charge(c.client, l.Now(), failureCost)
}

// admit asks the repository's bucket first: what it refuses is no burden on
// the issuer that others share.
func (l *Limiter) admit(c *conn, w gatekeeper.Workload) error {
	c.admitted = true
	l.known.add(l.known.id(c.client, w.IssuerURL, w.Subject))
	repository := gatekeeper.RepositoryKey(w)
	if wait := l.repositories.take(repository, l.Now()); wait > 0 {
		return l.slowDown(Repository, wait, "your repository makes too many calls")
	}
	if wait := l.issuers.take(w.IssuerURL, l.Now()); wait > 0 {
		return l.slowDown(Issuer, wait, "the jobs of your CI system make too many calls")
	}
	if !l.conns.prove(c, repository) {
		return l.slowDown(Connections, 0, "your repository has too many calls open; fewer of its steps can wait at once")
	}
	return nil
}
