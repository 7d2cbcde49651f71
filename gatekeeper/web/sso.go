package web

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"golang.org/x/oauth2"
)

// ssoTime bounds a call to the identity provider.
const ssoTime = 10 * time.Second

// skew is how far the provider's clock may be from ours.
const skew = 30 * time.Second

// SSOOptions say who signs people in: the company's OIDC provider. All but
// HTTP and Now are needed.
type SSOOptions struct {
	Issuer, ClientID, ClientSecret string
	URL                            string // the gatekeeper's own
	HTTP                           *http.Client
	Now                            func() time.Time
}

// SSO is the code flow with PKCE at that provider. It is safe for concurrent
// use.
type SSO struct {
	o  SSOOptions
	mu sync.Mutex
	at *provider // nil until discovery went well once
}

type provider struct {
	*oidc.Provider
	oauth    oauth2.Config
	verifier *oidc.IDTokenVerifier
}

// NewSSO asks nobody yet: the gatekeeper starts while the provider is down.
func NewSSO(o SSOOptions) *SSO {
	if o.HTTP == nil {
		o.HTTP = &http.Client{Timeout: ssoTime}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &SSO{o: o}
}

// origin is where a form that begins a sign-in ends.
func (s *SSO) origin() string {
	u, err := url.Parse(s.o.Issuer)
	if err != nil {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

func (s *SSO) provider(ctx context.Context) (*provider, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.at != nil {
		return s.at, nil
	}
	// The keys are fetched by this context's client for as long as we run.
	found, err := oidc.NewProvider(oidc.ClientContext(context.WithoutCancel(ctx), s.o.HTTP), s.o.Issuer)
	if err != nil {
		return nil, gatekeeper.Wrap(err, gatekeeper.CodeUnavailable, "the company's sign-in cannot be reached right now; try again")
	}
	s.at = &provider{
		Provider: found,
		oauth: oauth2.Config{
			ClientID: s.o.ClientID, ClientSecret: s.o.ClientSecret, Endpoint: found.Endpoint(),
			RedirectURL: s.o.URL + "/sign-in/callback", Scopes: []string{oidc.ScopeOpenID, "email", "profile"},
		},
		verifier: found.Verifier(&oidc.Config{ClientID: s.o.ClientID, Now: s.o.Now}),
	}
	return s.at, nil
}

// flow is a sign-in under way; it waits in a sealed cookie.
type flow struct {
	State, Nonce, Verifier string
	Began                  time.Time
	Fresh                  bool     // the person has to prove themselves anew
	ACR                    []string // one of these classes; empty: any
}

// begin gives the address at the provider. fresh asks for a sign-in now, not
// for a session that is open there (OpenID Connect Core 3.1.2.1: max_age).
func (s *SSO) begin(ctx context.Context, f flow) (string, error) {
	at, err := s.provider(ctx)
	if err != nil {
		return "", err
	}
	options := []oauth2.AuthCodeOption{oidc.Nonce(f.Nonce), oauth2.S256ChallengeOption(f.Verifier)}
	if f.Fresh {
		options = append(options, oauth2.SetAuthURLParam("prompt", "login"), oauth2.SetAuthURLParam("max_age", "0"))
	}
	if len(f.ACR) > 0 {
		options = append(options, oauth2.SetAuthURLParam("acr_values", strings.Join(f.ACR, " ")))
	}
	return at.oauth.AuthCodeURL(f.State, options...), nil
}

// identity is what the provider said, as far as it was verified.
type identity struct {
	Issuer, Subject, Email, Name, ACR string
	AuthTime                          time.Time
	TokenHash                         string
}

// finish exchanges the code and holds the ID token to what was asked for.
func (s *SSO) finish(ctx context.Context, f flow, code string) (identity, error) {
	at, err := s.provider(ctx)
	if err != nil {
		return identity{}, err
	}
	ctx, cancel := context.WithTimeout(oidc.ClientContext(ctx, s.o.HTTP), ssoTime)
	defer cancel()
	token, err := at.oauth.Exchange(ctx, code, oauth2.VerifierOption(f.Verifier))
	if err != nil {
		return identity{}, ssoFault(err)
	}
	raw, _ := token.Extra("id_token").(string)
	id, err := at.verifier.Verify(ctx, raw)
	if err != nil {
		return identity{}, gatekeeper.Wrap(err, gatekeeper.CodeAccessDenied, "the company's sign-in gave no ID token that holds; try again")
	}
	who, err := s.held(f, id, raw)
	if err != nil || who.Email != "" || at.UserInfoEndpoint() == "" {
		return who, err
	}
	return who.completed(at.UserInfo(ctx, oauth2.StaticTokenSource(token)))
}

// completed adds the address that some providers tell at their userinfo
// endpoint alone. It has to be of the same subject (OpenID Connect Core
// 5.3.2: the answer could be of a token that was swapped).
func (i identity) completed(info *oidc.UserInfo, err error) (identity, error) {
	if err != nil {
		return identity{}, gatekeeper.Wrap(err, gatekeeper.CodeUnavailable, "the company's sign-in does not say who you are right now; try again")
	}
	if info.Subject == i.Subject && info.EmailVerified {
		i.Email = info.Email
	}
	return i, nil
}

func (s *SSO) held(f flow, id *oidc.IDToken, raw string) (identity, error) {
	var claims struct {
		Email    string `json:"email"`
		Verified any    `json:"email_verified"` // some providers write it as a string
		Name     string `json:"name"`
		ACR      string `json:"acr"`
		AuthTime int64  `json:"auth_time"`
	}
	if err := id.Claims(&claims); err != nil || id.Nonce != f.Nonce || f.Nonce == "" {
		return identity{}, gatekeeper.Wrap(err, gatekeeper.CodeAccessDenied, "the ID token answers another sign-in; begin again")
	}
	out := identity{Issuer: id.Issuer, Subject: id.Subject, Name: claims.Name, ACR: claims.ACR, TokenHash: sha256Hex(raw)}
	if claims.Verified == true || claims.Verified == "true" {
		out.Email = claims.Email
	}
	if claims.AuthTime > 0 {
		out.AuthTime = time.Unix(claims.AuthTime, 0).UTC()
	}
	if f.Fresh && (claims.AuthTime == 0 || out.AuthTime.Before(f.Began.Add(-skew)) || out.AuthTime.After(s.o.Now().Add(skew))) {
		return identity{}, gatekeeper.Errorf(gatekeeper.CodeAccessDenied, "the sign-in was not a fresh one; sign in again when you are asked to (the provider has to support max_age and tell auth_time)")
	}
	if len(f.ACR) > 0 && !slices.Contains(f.ACR, claims.ACR) {
		return identity{}, gatekeeper.Errorf(gatekeeper.CodeAccessDenied, "the rule wants a sign-in of class %s, and yours was of another", strings.Join(f.ACR, " or "))
	}
	return out, nil
}

// ssoFault tells a refusal from an outage, and nothing of what was sent.
func ssoFault(err error) error {
	if refused, ok := err.(*oauth2.RetrieveError); ok && refused.Response != nil && refused.Response.StatusCode < http.StatusInternalServerError { //nolint:errorlint // oauth2 returns it bare
		return gatekeeper.Wrap(refusal(refused.ErrorCode), gatekeeper.CodeAccessDenied, "the company's sign-in refused; begin again")
	}
	return gatekeeper.Wrap(err, gatekeeper.CodeUnavailable, "the company's sign-in does not answer right now; try again")
}

// refusal keeps the provider's code for the log; its body could repeat the
// secret that was sent.
type refusal string

func (r refusal) Error() string { return "the identity provider says " + string(r) }
