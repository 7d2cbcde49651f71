package main

import (
	"path/filepath"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/conf"
)

// ssoConfig is the company's OIDC provider.
type ssoConfig struct {
	Issuer, ClientID, ClientSecret string
}

func (r *configReader) sso(v conf.Value) {
	if !v.Present() {
		return
	}
	o := v.Object()
	s := &ssoConfig{Issuer: secureURL(o.Get("issuer"), ""), ClientID: o.Get("client_id").Required(), ClientSecret: o.Secret("client_secret", r.dir)}
	if s.Issuer == "" {
		o.Get("issuer").Fault("is missing; give the provider's issuer URL, exactly as its tokens name it")
	}
	o.Close()
	r.c.SSO = s
}

// session is the key that seals people's cookies and one-time links; several
// replicas share it.
func (r *configReader) session(v conf.Value) {
	if name := v.String(""); name != "" {
		r.c.SessionKey = r.path(name)
		return
	}
	r.c.SessionKey = filepath.Join(filepath.Dir(r.c.LedgerKey), "session.key")
}
