package vault_test

import (
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/ciissuer"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/cloudbox"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/vaultbox"
	"github.com/gatekeeper-ci/gatekeeper/sts/ststest"
	"github.com/gatekeeper-ci/gatekeeper/sts/vault"
)

const audience = "https://vault.acme.com"

func spec(address string, way gatekeeper.Exchange) gatekeeper.CredentialSpec {
	return gatekeeper.CredentialSpec{Type: "vault", Vault: &gatekeeper.VaultSpec{Address: address, Namespace: "admin/payments", Mount: "jwt", Role: "deploy", Exchange: way, Audience: audience}}
}

// begin is a Vault whose role trusts an issuer for acme/payments.
func begin(t *testing.T, issuer string) *vaultbox.Vault {
	t.Helper()
	box := vaultbox.Start(nil)
	t.Cleanup(box.Close)
	box.Role("admin/payments", "jwt", "deploy", vaultbox.Role{Issuer: issuer, Audiences: []string{audience}, Subject: "repo:acme/payments:environment:production",
		Claims: map[string]string{"environment": "production"}, Policies: []string{"default", "payments"}, TTL: 20 * time.Minute})
	return box
}

// at sends what is for one address to another, as the suite wants to.
type at struct{ url string }

func (a at) RoundTrip(r *http.Request) (*http.Response, error) {
	to, err := r.URL.Parse(a.url + r.URL.Path)
	if err != nil {
		return nil, err
	}
	r = r.Clone(r.Context())
	r.URL, r.Host = to, ""
	return http.DefaultTransport.RoundTrip(r)
}

func TestSuite(t *testing.T) {
	ststest.Run(t, func(t *testing.T) ststest.Vendor {
		ci, err := ciissuer.Start(ciissuer.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(ci.Close)
		return ststest.Vendor{
			Box: begin(t, ci.URL()), Spec: spec("https://vault.acme.com", gatekeeper.ExchangeWorkloadToken), Token: ci.Token(audience, ciissuer.Defaults()),
			New: func(url string, _ *slog.Logger) gatekeeper.Exchanger {
				return vault.New(vault.Options{Transport: at{url}})
			},
			Steps:    []string{"/v1/auth/jwt/login"},
			Throttle: cloudbox.Fault{Status: http.StatusTooManyRequests, Body: `{"errors":["request path \"auth/jwt/login\": rate limit quota exceeded"]}`},
			Refusals: map[string]ststest.Refusal{
				"claims":     ststest.Says(refused(400, `error validating claims: claim \"environment\" does not match any associated bound claim values`), `Vault refused: 400 (error validating claims: claim "environment" does not match any associated bound claim values); the jwt auth method has to trust`),
				"permission": ststest.Says(refused(403, "permission denied"), "Vault refused: 403 (permission denied)"),
				"lines":      ststest.Says(refused(400, `2 errors occurred:\n\t* one\n\t* two\n`), "(2 errors occurred: * one * two)"),
				"no JSON":    ststest.Says(cloudbox.Fault{Status: http.StatusNotFound, Body: "<html>"}, "refused: 404"),
				"a redirect": ststest.Says(cloudbox.Fault{Status: http.StatusTemporaryRedirect, Header: map[string]string{"Location": "http://127.0.0.1:1"}, Body: " "}, "points elsewhere"),
			},
			Incomplete: []string{`{"auth":null}`, `{"auth":{"client_token":"x"}}`, `{"auth":{"client_token":"","lease_duration":60}}`, `{"auth":{"client_token":"x","lease_duration":0}}`},
			Complete: func(c gatekeeper.Credential) string {
				if v := c.Vault; v.Token == "" || v.Accessor == "" || c.Handle != v.Accessor || v.Namespace != "admin/payments" || v.LeaseDuration != 1200 || !v.Renewable || len(v.Policies) != 2 {
					return "something of " + v.String()
				}
				return ""
			},
		}
	})
}

func refused(status int, text string) cloudbox.Fault {
	return cloudbox.Fault{Status: status, Body: `{"errors":["` + text + `"]}`}
}

// The role trusts the gatekeeper alone: its token works, the CI's own does
// not, nor one of ours for anything else (threats row 37).
func TestGatekeeperToken(t *testing.T) {
	ours := ststest.Issuer(t, nil)
	old := ststest.Issuer(t, func() time.Time { return time.Now().Add(-time.Hour) })
	ci, err := ciissuer.Start(ciissuer.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(ci.Close)
	box, trustsOld := begin(t, ours.URL()), begin(t, old.URL())
	e := vault.New(vault.Options{Minter: ours})
	mine := spec(box.URL(), gatekeeper.ExchangeGatekeeperToken)
	c, err := e.Exchange(t.Context(), ststest.Grant(t, mine), "")
	if err != nil || !box.Alive(c.Vault.Token) {
		t.Fatalf("%v, %v", c.Vault, err)
	}
	mount, role, elsewhere, space := spec(box.URL(), mine.Vault.Exchange), spec(box.URL(), mine.Vault.Exchange), spec(box.URL(), mine.Vault.Exchange), spec(box.URL(), mine.Vault.Exchange)
	mount.Vault.Mount, role.Vault.Role, elsewhere.Vault.Audience, space.Vault.Namespace = "github", "admin", "https://elsewhere", ""
	other := ststest.Workload()
	other.Repository = "acme/web"
	for name, c := range map[string]struct {
		e     *vault.Exchanger
		grant gatekeeper.Grant
		token string
		says  string
	}{
		"the CI's own":        {e, ststest.Grant(t, spec(box.URL(), gatekeeper.ExchangeWorkloadToken)), ci.Token(audience, ciissuer.Defaults()), "invalid issuer"},
		"another repository":  {e, ststest.GrantFor(t, mine, other, "production"), "", "invalid subject"},
		"another environment": {e, ststest.GrantFor(t, mine, ststest.Workload(), "staging"), "", "invalid subject"},
		"another audience":    {e, ststest.Grant(t, elsewhere), "", "invalid audience"},
		"another mount":       {e, ststest.Grant(t, mount), "", "permission denied"},
		"another role":        {e, ststest.Grant(t, role), "", `role "admin" could not be found`},
		"another namespace":   {e, ststest.Grant(t, space), "", "permission denied"},
		"expired":             {vault.New(vault.Options{Minter: old}), ststest.Grant(t, spec(trustsOld.URL(), mine.Vault.Exchange)), "", "token is expired"},
		"no way":              {e, ststest.Grant(t, spec(box.URL(), "")), "", "is no way"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := c.e.Exchange(t.Context(), c.grant, c.token)
			if gatekeeper.CodeOf(err) != gatekeeper.CodeExchangeFailed || !strings.Contains(err.Error(), c.says) || got.Vault != nil {
				t.Errorf("got %v, want %s", err, c.says)
			}
		})
	}
}

// A token is revoked by its accessor, with a token of ours that may do nothing
// else, as often as it is asked for.
func TestRevoke(t *testing.T) {
	ours := ststest.Issuer(t, nil)
	box := begin(t, ours.URL())
	own := box.Operator("admin", "auth/token/revoke-accessor")
	e := vault.New(vault.Options{Minter: ours, Revokers: []vault.Own{
		{Address: box.URL(), Namespace: "other", Token: func() (string, error) { return "", errors.New("not this one") }},
		{Address: box.URL(), Namespace: "admin", Token: func() (string, error) { return own, nil }},
	}})
	s := spec(box.URL(), gatekeeper.ExchangeGatekeeperToken)
	c, err := e.Exchange(t.Context(), ststest.Grant(t, s), "")
	if err != nil {
		t.Fatal(err)
	}
	d := gatekeeper.Redemption{Handle: c.Handle, ExpiresAt: c.ExpiresAt}
	for _, fault := range []cloudbox.Fault{{}, {After: true}, {Status: http.StatusForbidden, Body: `{"errors":["permission denied"]}`}} {
		box.Fail(fault)
		want := gatekeeper.CodeUnavailable
		if fault.Status != 0 {
			want = gatekeeper.CodeExchangeFailed
		}
		if got, err := e.Revoke(t.Context(), s, d); gatekeeper.CodeOf(err) != want || got.Revoked {
			t.Errorf("%+v: %+v, %v", fault, got, err)
		}
	}
	for range 2 {
		if got, err := e.Revoke(t.Context(), s, d); err != nil || !got.Revoked || got.Todo != "" || box.Alive(c.Vault.Token) {
			t.Errorf("%+v, %v; alive: %t", got, err, box.Alive(c.Vault.Token))
		}
	}
}

// Where the gatekeeper cannot revoke it says how people do.
func TestRevokeByPeople(t *testing.T) {
	s := spec("https://vault.acme.com", gatekeeper.ExchangeGatekeeperToken)
	elsewhere := vault.Own{Address: "https://vault.evil.com", Token: func() (string, error) { t.Error("a token for another Vault was read"); return "", nil }}
	e := vault.New(vault.Options{Revokers: []vault.Own{elsewhere}})
	for want, d := range map[string]gatekeeper.Redemption{
		"VAULT_ADDR=https://vault.acme.com VAULT_NAMESPACE=admin/payments vault token revoke -accessor acc1":      {Handle: "acc1"},
		"VAULT_ADDR=https://vault.acme.com VAULT_NAMESPACE=admin/payments vault token revoke -mode=path auth/jwt": {},
	} {
		if got, err := e.Revoke(t.Context(), s, d); err != nil || got.Revoked || got.Todo != want || got.Detail == "" {
			t.Errorf("%+v, %v", got, err)
		}
	}
	if got, err := e.Revoke(t.Context(), s, gatekeeper.Redemption{Handle: "x", ExpiresAt: time.Now().Add(-time.Second)}); err != nil || !got.Revoked {
		t.Errorf("it is over: %+v, %v", got, err)
	}
	unread := vault.New(vault.Options{Revokers: []vault.Own{{Address: "https://vault.acme.com", Token: func() (string, error) { return "", nil }}}})
	if _, err := unread.Revoke(t.Context(), s, gatekeeper.Redemption{Handle: "x"}); gatekeeper.CodeOf(err) != gatekeeper.CodeUnavailable {
		t.Errorf("our token cannot be read: %v", err)
	}
	if _, err := e.Revoke(t.Context(), gatekeeper.CredentialSpec{}, gatekeeper.Redemption{}); gatekeeper.CodeOf(err) != gatekeeper.CodeInternal {
		t.Errorf("no token: %v", err)
	}
}

// A batch token has no accessor, and is handed out all the same.
func TestBatchToken(t *testing.T) {
	ours := ststest.Issuer(t, nil)
	box := begin(t, ours.URL())
	box.Role("", "jwt", "batch", vaultbox.Role{Issuer: ours.URL(), Audiences: []string{audience}, TTL: time.Minute, Batch: true})
	s := spec(box.URL(), gatekeeper.ExchangeGatekeeperToken)
	s.Vault.Namespace, s.Vault.Role = "", "batch"
	c, err := vault.New(vault.Options{Minter: ours}).Exchange(t.Context(), ststest.Grant(t, s), "")
	if err != nil || c.Handle != "" || c.Vault.Renewable {
		t.Errorf("%v, %v", c.Vault, err)
	}
}

// A sealed Vault issues nothing.
func TestSealed(t *testing.T) {
	ours := ststest.Issuer(t, nil)
	box := begin(t, ours.URL())
	box.Seal(true)
	_, err := vault.New(vault.Options{Minter: ours}).Exchange(t.Context(), ststest.Grant(t, spec(box.URL(), gatekeeper.ExchangeGatekeeperToken)), "")
	if gatekeeper.CodeOf(err) != gatekeeper.CodeExchangeFailed || !strings.Contains(err.Error(), "Vault is sealed") {
		t.Errorf("got %v", err)
	}
}
