package web

import (
	"crypto/sha256"
	"net/http"
	"strings"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gorilla/securecookie"
)

// How long what we sealed is taken back.
const (
	sessionTime  = 8 * time.Hour
	ceremonyTime = 10 * time.Minute // a sign-in or a signature under way
	linkTime     = time.Hour        // an admin's one-time link
)

// sealer encrypts and authenticates what goes to browsers and comes back. A
// value sealed for one purpose is none for another.
type sealer struct {
	secret []byte
	now    func() time.Time
}

func newSealer(secret []byte, now func() time.Time) (*sealer, error) {
	if len(secret) < 32 {
		return nil, gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, "the session key has to have at least 32 bytes")
	}
	return &sealer{secret, now}, nil
}

// sealed is what is inside: the library checks the age by its own clock, and
// we by ours.
type sealed[T any] struct {
	Value T
	Until time.Time
}

func (s *sealer) codec(purpose string) *securecookie.SecureCookie {
	derive := func(use string) []byte {
		sum := sha256.Sum256(append([]byte("gatekeeper/"+purpose+"/"+use+"\x00"), s.secret...))
		return sum[:]
	}
	return securecookie.New(derive("mac"), derive("cipher")).SetSerializer(securecookie.JSONEncoder{}).MaxLength(16 << 10).MaxAge(0)
}

func seal[T any](s *sealer, purpose string, value T, life time.Duration) (string, error) {
	return s.codec(purpose).Encode(purpose, sealed[T]{value, s.now().Add(life)})
}

func unseal[T any](s *sealer, purpose, text string) (T, bool) {
	var in sealed[T]
	err := s.codec(purpose).Decode(purpose, text, &in)
	if err != nil || !s.now().Before(in.Until) {
		var zero T
		return zero, false
	}
	return in.Value, true
}

// cookie names carry __Host- where the browser then holds the cookie to this
// very host; plain http is for loopback alone.
func (p *pages) cookieName(purpose string) string {
	if strings.HasPrefix(p.URL, "https://") {
		return "__Host-gatekeeper-" + purpose
	}
	return "gatekeeper-" + purpose
}

func (p *pages) setCookie(w http.ResponseWriter, purpose, value string, life time.Duration) {
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // Secure but on loopback, where there is no TLS
		Name: p.cookieName(purpose), Value: value, Path: "/", MaxAge: int(life.Seconds()),
		Secure: strings.HasPrefix(p.URL, "https://"), HttpOnly: true,
		SameSite: http.SameSiteLaxMode, // strict would lose the session on the way from Slack
	})
}

func (p *pages) dropCookie(w http.ResponseWriter, purpose string) {
	p.setCookie(w, purpose, "", -time.Second)
}

func cookie[T any](p *pages, r *http.Request, purpose string) (T, bool) {
	c, err := r.Cookie(p.cookieName(purpose))
	if err != nil {
		var zero T
		return zero, false
	}
	return unseal[T](p.seal, purpose, c.Value)
}

func keepCookie[T any](p *pages, w http.ResponseWriter, purpose string, value T, life time.Duration) error {
	text, err := seal(p.seal, purpose, value, life)
	if err == nil {
		p.setCookie(w, purpose, text, life)
	}
	return err
}
