// Package vault obtains tokens of HashiCorp Vault and OpenBao by their jwt
// auth method.
package vault

import (
	"context"
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/sts/internal/ask"
	"github.com/gatekeeper-ci/gatekeeper/sts/issuer"
)

const cloud = "Vault"

// Options of an Exchanger; the zero value cannot mint and revokes nothing.
type Options struct {
	Minter    issuer.Minter
	Revokers  []Own
	Transport http.RoundTripper
	Now       func() time.Time
}

// Own is the gatekeeper's own token at one Vault, which may do nothing but
// update auth/token/revoke-accessor. It goes to this address only, whatever
// rules say.
type Own struct {
	Address   string
	Namespace string // tokens of this namespace and those below it; "": all
	Token     func() (string, error)
}

// Exchanger implements gatekeeper.Exchanger for credentials of type vault.
type Exchanger struct {
	o   Options
	ask *ask.Client
}

// New makes an Exchanger and asks nobody.
func New(o Options) *Exchanger {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Exchanger{o, ask.New(ask.Options{Transport: o.Transport})}
}

// login is the answer of https://developer.hashicorp.com/vault/api-docs/auth/jwt#jwt-login.
type login struct {
	Auth struct {
		Token         string   `json:"client_token"`
		Accessor      string   `json:"accessor"`
		Policies      []string `json:"policies"`
		LeaseDuration int      `json:"lease_duration"`
		Renewable     bool     `json:"renewable"`
	} `json:"auth"`
}

// Exchange implements gatekeeper.Exchanger.
func (e *Exchanger) Exchange(ctx context.Context, g gatekeeper.Grant, subjectToken string) (gatekeeper.Credential, error) {
	spec := g.Credential().Vault
	if !g.Valid() || spec == nil {
		return gatekeeper.Credential{}, gatekeeper.Errorf(gatekeeper.CodeInternal, "there is no grant for a Vault token")
	}
	token, err := issuer.Presented(ctx, e.o.Minter, g, spec.Exchange, spec.Audience, subjectToken)
	if err != nil {
		return gatekeeper.Credential{}, err
	}
	return e.obtain(ctx, *spec, token)
}

// Probe implements sts.Prober. A token that was issued is left to end by
// itself: revoking it would take a call that the probe's caller may not make.
func (e *Exchanger) Probe(ctx context.Context, spec gatekeeper.CredentialSpec, token string) error {
	_, err := e.obtain(ctx, *spec.Vault, token)
	return err
}

func (e *Exchanger) obtain(ctx context.Context, spec gatekeeper.VaultSpec, token string) (gatekeeper.Credential, error) {
	var out login
	err := e.ask.Do(ctx, ask.Call{
		Cloud: cloud, URL: spec.Address + "/v1/auth/" + spec.Mount + "/login", Header: headers(spec.Namespace), Secrets: []string{token}, Refusal: refusal,
		JSON: map[string]string{"role": spec.Role, "jwt": token},
	}, &out)
	if err != nil {
		return gatekeeper.Credential{}, err
	}
	if out.Auth.Token == "" || out.Auth.LeaseDuration <= 0 {
		// A token without an end is none that the gatekeeper hands out.
		return gatekeeper.Credential{}, ask.Incomplete(cloud)
	}
	return gatekeeper.Credential{Type: "vault", ExpiresAt: e.o.Now().Add(time.Duration(out.Auth.LeaseDuration) * time.Second).UTC(), Handle: handle(out.Auth.Accessor),
		Vault: &gatekeeper.VaultCredential{Token: out.Auth.Token, Accessor: out.Auth.Accessor, Address: spec.Address, Namespace: spec.Namespace,
			LeaseDuration: out.Auth.LeaseDuration, Renewable: out.Auth.Renewable, Policies: out.Auth.Policies}}, nil
}

// accessorShape is what may stand in a command that people paste.
var accessorShape = regexp.MustCompile(`^[A-Za-z0-9._-]{1,128}$`)

func handle(accessor string) string {
	if !accessorShape.MatchString(accessor) {
		return ""
	}
	return accessor
}

// headers are those of Vault's own clients; X-Vault-Request keeps requests
// that a browser was tricked into apart.
func headers(namespace string) map[string]string {
	h := map[string]string{"X-Vault-Request": "true"}
	if namespace != "" {
		h["X-Vault-Namespace"] = namespace
	}
	return h
}

// refusal has no code: Vault tells errors as sentences.
func refusal(body []byte) ask.Refusal {
	var e struct {
		Errors []string `json:"errors"`
	}
	if json.Unmarshal(body, &e) != nil {
		return ask.Refusal{}
	}
	text := strings.Join(e.Errors, "; ")
	return ask.Refusal{Message: oneLine(text),
		Hint: "the jwt auth method has to trust the token's issuer, and its role to have the token's audience, subject and claims bound"}
}

// oneLine is how Vault's lists of errors fit a line.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
