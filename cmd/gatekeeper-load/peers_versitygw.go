package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/ciissuer"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/versitygw"
)

// gateway is a versitygw that is measured.
type gateway struct {
	*process
	url    string
	client *http.Client
	role   string
	tokens []string
}

func versitygwStart(o peerOptions, ci *ciissuer.Issuer) func(context.Context, string) (runner, error) {
	return func(ctx context.Context, dir string) (runner, error) {
		state, address := filepath.Join(dir, "iam"), free()
		if err := os.Mkdir(state, 0o700); err != nil {
			return nil, err
		}
		v := &gateway{url: "http://" + address, client: callers(o), tokens: tokensFor(o, ci, versitygw.Audience)}
		var err error
		if v.process, err = begin(ctx, dir, listens(address), o.versitygw, versitygw.Arguments(address, state)...); err != nil {
			return nil, err
		}
		if err := v.trust(ctx); err != nil {
			v.end()
			return nil, err
		}
		return v, nil
	}
}

// trust makes the role, with the trust policy that docs/credentials.md gives.
func (v *gateway) trust(ctx context.Context) error {
	iam := versitygw.IAM{URL: v.url, Client: v.client}
	err := iam.Provider(ctx, ciHost)
	if err == nil {
		v.role, err = iam.Role(ctx, "deploy", versitygw.Trust(ciHost, map[string]string{"aud": versitygw.Audience, "sub": ciissuer.Defaults()["sub"].(string)}))
	}
	return err
}

func (v *gateway) exchange(ctx context.Context, n int) error {
	return post(ctx, v.client, v.url+"/", "application/x-www-form-urlencoded", "", url.Values{
		"Action": {"AssumeRoleWithWebIdentity"}, "Version": {"2011-06-15"}, "RoleArn": {v.role}, "RoleSessionName": {fmt.Sprint("job-", n)},
		"DurationSeconds": {"900"}, "WebIdentityToken": {v.tokens[n]},
	}.Encode(), "<SessionToken>")
}
