package main

import (
	"path/filepath"
	"strings"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/conf"
	"github.com/gatekeeper-ci/gatekeeper/sts/aws/kms"
)

// cloudsConfig is what signing and the clouds need beside the rules.
type cloudsConfig struct {
	KMSKeys     []kms.Key // sign instead of SigningKey, where there are some
	KMSEndpoint string
	AWSRegion   string
	STSEndpoint string
	GCPSTS      string        // "": Google's own
	GCPIAM      string        // "": Google's own
	Azure       string        // the authority; "": Microsoft's public cloud
	Vaults      []vaultConfig // where the gatekeeper may revoke
}

// vaultConfig is a Vault whose tokens the gatekeeper may revoke by their
// accessors. The token is read anew at each use: Vault Agent renews it there.
type vaultConfig struct {
	Address, Namespace string
	Token, TokenFile   string
}

func (r *configReader) clouds(o *conf.Object) {
	c := &r.c.Clouds
	aws := o.Get("aws").Object()
	c.AWSRegion = aws.Get("region").String("")
	c.STSEndpoint, c.KMSEndpoint = secureURL(aws.Get("sts_endpoint"), ""), secureURL(aws.Get("kms_endpoint"), "")
	aws.Close()
	gcp := o.Get("gcp").Object()
	c.GCPSTS, c.GCPIAM = secureURL(gcp.Get("sts_endpoint"), ""), secureURL(gcp.Get("iam_credentials_endpoint"), "")
	gcp.Close()
	azure := o.Get("azure").Object()
	c.Azure = secureURL(azure.Get("authority"), "")
	azure.Close()
	for _, item := range o.Get("vault").Items() {
		c.Vaults = append(c.Vaults, r.vault(item.Object()))
	}
}

func (r *configReader) vault(o *conf.Object) vaultConfig {
	token, file := o.Get("token"), o.Get("token_file")
	v := vaultConfig{Address: strings.TrimSuffix(secureURL(o.Get("address"), ""), "/"), Namespace: strings.Trim(o.Get("namespace").String(""), "/"), Token: token.String("")}
	if file.Present() {
		v.TokenFile = r.path(file.Required())
	}
	switch {
	case v.Address == "":
		o.Get("address").Fault("is missing; it has to be spelled as the rules spell it")
	case token.Present() && file.Present():
		file.Fault("token is given as well; one of the two is enough")
	case v.Token == "" && v.TokenFile == "":
		file.Fault("is missing; the token needs update on auth/token/revoke-accessor, and nothing else")
	}
	o.Close()
	return v
}

// keys are the signing keys: a file, or keys of AWS KMS.
func (r *configReader) keys(o *conf.Object) {
	v := o.Get("signing_key_file")
	name := "signing.pem"
	for _, item := range v.Items() {
		text := item.Required()
		arn, inKMS := strings.CutPrefix(text, "aws-kms:")
		switch {
		case inKMS:
			r.kmsKey(item, arn)
		case len(v.Items()) > 1:
			item.Fault("%q was found; a list holds keys of aws-kms: only, a file holds several keys by itself", text)
		default:
			name = text
		}
	}
	if len(r.c.Clouds.KMSKeys) > 0 {
		name = "" // the ledger's key stands beside the configuration
	} else {
		r.c.SigningKey = r.path(name)
	}
	r.c.LedgerKey = r.path(o.Get("ledger_key_file").String(filepath.Join(filepath.Dir(name), "ledger.pem")))
}

// kmsKey is ARN, or ARN#TIME for one that signs from then on.
func (r *configReader) kmsKey(v conf.Value, text string) {
	arn, at, timed := strings.Cut(text, "#")
	key := kms.Key{ARN: arn}
	if timed {
		var err error
		if key.SignsFrom, err = time.Parse(time.RFC3339, at); err != nil {
			v.Fault("%q is no time; aws-kms:ARN#2026-03-02T10:00:00Z is wanted", at)
		}
	}
	if _, err := kms.New(kms.Options{Keys: []kms.Key{key}}); err != nil {
		v.Fault("%s", said(err))
	}
	r.c.Clouds.KMSKeys = append(r.c.Clouds.KMSKeys, key)
}
