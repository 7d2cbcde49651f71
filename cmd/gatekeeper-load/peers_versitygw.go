package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/ciissuer"
)

// versitygw is an S3 gateway with IAM and STS of its own.
type versitygw struct {
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
		v := &versitygw{url: "http://" + address, client: callers(o), tokens: tokensFor(o, ci, "sts.amazonaws.com"), role: "arn:aws:iam::000000000000:role/deploy"}
		var err error
		if v.process, err = begin(ctx, dir, listens(address), o.versitygw, "-p", address, "-a", "user", "-s", "password", "iam", "--dir", state); err != nil {
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
func (v *versitygw) trust(ctx context.Context) error {
	policy, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": []any{map[string]any{
		"Effect": "Allow", "Principal": map[string]string{"Federated": "arn:aws:iam::000000000000:oidc-provider/" + ciHost},
		"Action":    "sts:AssumeRoleWithWebIdentity",
		"Condition": map[string]any{"StringEquals": map[string]string{ciHost + ":aud": "sts.amazonaws.com", ciHost + ":sub": ciissuer.Defaults()["sub"].(string)}},
	}}})
	if err != nil {
		return err
	}
	for _, form := range []url.Values{
		{"Action": {"CreateOpenIDConnectProvider"}, "Url": {ciURL}, "ClientIDList.member.1": {"sts.amazonaws.com"}},
		{"Action": {"CreateRole"}, "RoleName": {"deploy"}, "AssumeRolePolicyDocument": {string(policy)}},
	} {
		if err := v.iam(ctx, form); err != nil {
			return err
		}
	}
	return nil
}

// iam signs one call of IAM's Query API.
func (v *versitygw) iam(ctx context.Context, form url.Values) error {
	form.Set("Version", "2010-05-08")
	body := []byte(form.Encode())
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, v.url+"/", bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	sum := sha256.Sum256(body)
	if err := v4.NewSigner().SignHTTP(ctx, aws.Credentials{AccessKeyID: "user", SecretAccessKey: "password"}, r, hex.EncodeToString(sum[:]), "iam", "us-east-1", time.Now()); err != nil {
		return err
	}
	answer, err := v.client.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	raw, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s %s", form.Get("Action"), answer.Status, raw)
	}
	return err
}

func (v *versitygw) exchange(ctx context.Context, n int) error {
	return post(ctx, v.client, v.url+"/", "application/x-www-form-urlencoded", "", url.Values{
		"Action": {"AssumeRoleWithWebIdentity"}, "Version": {"2011-06-15"}, "RoleArn": {v.role}, "RoleSessionName": {fmt.Sprint("job-", n)},
		"DurationSeconds": {"900"}, "WebIdentityToken": {v.tokens[n]},
	}.Encode(), "<SessionToken>")
}
