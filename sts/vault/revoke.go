package vault

import (
	"context"
	"strings"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/sts/internal/ask"
)

// Revoke implements gatekeeper.Revoker: the token that the accessor names ends,
// and with it all leases that were made with it
// (https://developer.hashicorp.com/vault/api-docs/auth/token#revoke-a-token-accessor).
// An accessor is no secret: it opens nothing.
func (e *Exchanger) Revoke(ctx context.Context, spec gatekeeper.CredentialSpec, d gatekeeper.Redemption) (gatekeeper.Revocation, error) {
	if spec.Vault == nil {
		return gatekeeper.Revocation{}, gatekeeper.Errorf(gatekeeper.CodeInternal, "there is no Vault token to revoke")
	}
	if !d.ExpiresAt.IsZero() && !e.o.Now().Before(d.ExpiresAt) {
		return gatekeeper.Revocation{Revoked: true, Detail: "the token ended by itself"}, nil
	}
	own, ok := e.own(*spec.Vault)
	switch {
	case d.Handle == "":
		return gatekeeper.Revocation{Detail: "no accessor of the token is known, so only all tokens of its role's auth method can be revoked",
			Todo: command(*spec.Vault) + "-mode=path auth/" + spec.Vault.Mount}, nil
	case !ok:
		return gatekeeper.Revocation{Detail: "the gatekeeper has no token of its own at this Vault; with `vault: {address, token_file}` in gatekeeper.yaml it revokes by itself",
			Todo: command(*spec.Vault) + "-accessor " + d.Handle}, nil
	}
	return e.revoke(ctx, *spec.Vault, own, d.Handle)
}

func (e *Exchanger) revoke(ctx context.Context, spec gatekeeper.VaultSpec, own Own, accessor string) (gatekeeper.Revocation, error) {
	token, err := own.Token()
	if err != nil || token == "" {
		return gatekeeper.Revocation{}, gatekeeper.Errorf(gatekeeper.CodeUnavailable, "the gatekeeper's own token at this Vault cannot be read")
	}
	gone := false
	call := ask.Call{
		Cloud: cloud, URL: spec.Address + "/v1/auth/token/revoke-accessor", Header: headers(spec.Namespace), Secrets: []string{token},
		JSON: map[string]string{"accessor": accessor}, Repeatable: true,
		Refusal: func(body []byte) ask.Refusal {
			r := refusal(body)
			r.Hint = "the gatekeeper's own token needs update on auth/token/revoke-accessor"
			// Vault has no code for it: what it does not know is not there.
			gone = strings.Contains(r.Message, "invalid accessor")
			return r
		},
	}
	call.Header["X-Vault-Token"] = token
	if err := e.ask.Do(ctx, call, nil); err != nil && !gone {
		return gatekeeper.Revocation{}, err
	}
	return gatekeeper.Revocation{Revoked: true, Detail: "Vault revoked the token and all that was leased with it"}, nil
}

// own is the gatekeeper's token for a credential's Vault, of the nearest
// namespace.
func (e *Exchanger) own(spec gatekeeper.VaultSpec) (Own, bool) {
	var found Own
	ok := false
	for _, o := range e.o.Revokers {
		within := o.Namespace == "" || strings.HasPrefix(spec.Namespace+"/", o.Namespace+"/")
		if o.Address == spec.Address && within && (!ok || len(o.Namespace) > len(found.Namespace)) {
			found, ok = o, true
		}
	}
	return found, ok
}

func command(spec gatekeeper.VaultSpec) string {
	c := "VAULT_ADDR=" + spec.Address + " "
	if spec.Namespace != "" {
		c += "VAULT_NAMESPACE=" + spec.Namespace + " "
	}
	return c + "vault token revoke "
}
