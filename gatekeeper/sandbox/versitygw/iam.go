// Package versitygw runs versitygw, an S3 gateway whose IAM and STS verify CI
// tokens against their issuers' keys and evaluate trust policies as AWS does.
package versitygw

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
	"regexp"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

const (
	// Account is the only one that it has.
	Account = "000000000000"
	// Audience is what tokens for it are meant for.
	Audience = "sts.amazonaws.com"
	// User and Password are its administrator's.
	User, Password = "admin", "password"
)

// Arguments are the command's for an IAM with STS at an address, its state in a
// directory that is there.
func Arguments(address, state string) []string {
	return []string{"-p", address, "-a", User, "-s", Password, "iam", "--dir", state}
}

// IAM is its Query API, called as its administrator.
type IAM struct {
	URL    string
	Client *http.Client // nil: the default one
}

var arnIn = regexp.MustCompile(`<Arn>([^<]+)</Arn>`)

// Provider makes an issuer known, whose keys it fetches at once.
func (i IAM) Provider(ctx context.Context, host string) error {
	_, err := i.call(ctx, url.Values{"Action": {"CreateOpenIDConnectProvider"}, "Url": {"https://" + host}, "ClientIDList.member.1": {Audience}})
	return err
}

// Role makes a role with a trust policy, and tells its ARN.
func (i IAM) Role(ctx context.Context, name, trust string) (string, error) {
	answer, err := i.call(ctx, url.Values{"Action": {"CreateRole"}, "RoleName": {name}, "AssumeRolePolicyDocument": {trust}})
	if err != nil {
		return "", err
	}
	found := arnIn.FindStringSubmatch(answer)
	if found == nil {
		return "", fmt.Errorf("no ARN in %s", answer)
	}
	return found[1], nil
}

// Allow gives a role what a policy says.
func (i IAM) Allow(ctx context.Context, role, policy string) error {
	_, err := i.call(ctx, url.Values{"Action": {"PutRolePolicy"}, "RoleName": {role}, "PolicyName": {"deploy"}, "PolicyDocument": {policy}})
	return err
}

// Trust is a trust policy for an issuer's tokens with exactly these claims.
func Trust(host string, claims map[string]string) string {
	equals := map[string]string{}
	for claim, value := range claims {
		equals[host+":"+claim] = value
	}
	policy, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": []any{map[string]any{
		"Effect": "Allow", "Principal": map[string]string{"Federated": "arn:aws:iam::" + Account + ":oidc-provider/" + host},
		"Action": "sts:AssumeRoleWithWebIdentity", "Condition": map[string]any{"StringEquals": equals},
	}}})
	if err != nil {
		panic(err) // maps of strings have always a form
	}
	return string(policy)
}

func (i IAM) call(ctx context.Context, form url.Values) (string, error) {
	form.Set("Version", "2010-05-08")
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, i.URL+"/", bytes.NewReader([]byte(form.Encode())))
	if err != nil {
		return "", err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	status, answer, err := Do(r, Call{Service: "iam", Credentials: aws.Credentials{AccessKeyID: User, SecretAccessKey: Password}, Client: i.Client})
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("%s: %d %s", form.Get("Action"), status, answer)
	}
	return answer, err
}

// Call says how a request is signed and sent.
type Call struct {
	Service     string
	Credentials aws.Credentials
	Client      *http.Client // nil: the default one
}

// Do signs a request and sends it.
func Do(r *http.Request, c Call) (status int, answer string, err error) {
	sum := sha256.Sum256(nil)
	if r.GetBody != nil {
		body, err := r.GetBody()
		if err != nil {
			return 0, "", err
		}
		raw, err := io.ReadAll(body)
		if err != nil {
			return 0, "", err
		}
		sum = sha256.Sum256(raw)
	}
	digest := hex.EncodeToString(sum[:])
	r.Header.Set("X-Amz-Content-Sha256", digest)
	if err := v4.NewSigner().SignHTTP(r.Context(), c.Credentials, r, digest, c.Service, "us-east-1", time.Now()); err != nil {
		return 0, "", err
	}
	if c.Client == nil {
		c.Client = http.DefaultClient
	}
	resp, err := c.Client.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(raw), err
}
