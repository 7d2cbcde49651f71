// Package kms signs the gatekeeper's tokens by keys that never leave AWS KMS.
package kms

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/smithy-go"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/sts/internal/ask"
	"github.com/gatekeeper-ci/gatekeeper/sts/issuer"
)

// callTime bounds one call; coolDown is how long KMS is left alone after a
// public key could not be had.
const (
	callTime = 5 * time.Second
	coolDown = 2 * time.Second
	maxTries = 3
)

// Key is one asymmetric key: RSA of at least 2048 bits, for SIGN_VERIFY.
type Key struct {
	ARN       string    // of the key, never of an alias, which may be moved
	SignsFrom time.Time // zero: from the beginning
}

// Options of Keys. Only Keys is needed.
type Options struct {
	Keys        []Key
	Endpoint    string                  // "" is AWS's own, or AWS_ENDPOINT_URL_KMS
	Credentials aws.CredentialsProvider // nil: the SDK's default chain
	Logger      *slog.Logger
	Now         func() time.Time
}

// Keys implements issuer.Source.
type Keys struct {
	o Options

	mu    sync.Mutex
	keys  []issuer.Key // Public is nil while it is not known
	tried time.Time
	fault error
}

// New checks the names and asks nobody yet: a gatekeeper starts while KMS is
// out of reach, and issues nothing until it is back.
func New(o Options) (*Keys, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	k := &Keys{o: o}
	for _, key := range o.Keys {
		if name, err := arn.Parse(key.ARN); err != nil || name.Service != "kms" || len(name.Resource) < 5 || name.Resource[:4] != "key/" {
			return nil, gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, "%q is no key of AWS KMS; arn:aws:kms:REGION:ACCOUNT:key/ID is wanted, and no alias", key.ARN)
		}
		k.keys = append(k.keys, issuer.Key{SignsFrom: key.SignsFrom, Sign: func(ctx context.Context, digest []byte) ([]byte, error) { return k.sign(ctx, key.ARN, digest) }})
	}
	if len(k.keys) == 0 {
		return nil, gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, "no key of AWS KMS is named")
	}
	return k, nil
}

// Keys implements issuer.Source. Public keys are fetched once: a key's ARN
// names the same key for ever. One that cannot be had keeps its turn, so that
// no other signs in its place.
func (k *Keys) Keys(ctx context.Context) ([]issuer.Key, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if now := k.o.Now(); k.missing() && (now.Sub(k.tried) >= coolDown || now.Before(k.tried)) {
		k.tried, k.fault = now, nil
		for i := range k.keys {
			if k.keys[i].Public == nil {
				k.fetch(ctx, i)
			}
		}
	}
	if known := slices.ContainsFunc(k.keys, func(key issuer.Key) bool { return key.Public != nil }); !known {
		return nil, k.fault
	}
	return slices.Clone(k.keys), nil
}

func (k *Keys) missing() bool {
	return slices.ContainsFunc(k.keys, func(key issuer.Key) bool { return key.Public == nil })
}

func (k *Keys) fetch(ctx context.Context, i int) {
	public, err := k.public(ctx, k.o.Keys[i].ARN)
	if err == nil {
		k.keys[i].ID, err = issuer.Thumbprint(public)
	}
	if err != nil {
		k.fault = err
		k.o.Logger.Warn("a public key cannot be had from AWS KMS", "key", k.o.Keys[i].ARN, "error", err)
		return
	}
	k.keys[i].Public = public
}

func (k *Keys) public(ctx context.Context, name string) (*rsa.PublicKey, error) {
	client, err := k.client(ctx, name)
	if err != nil {
		return nil, err
	}
	out, err := client.GetPublicKey(ctx, &kms.GetPublicKeyInput{KeyId: &name})
	if err != nil {
		return nil, told(err)
	}
	parsed, err := x509.ParsePKIXPublicKey(out.PublicKey)
	public, ok := parsed.(*rsa.PublicKey)
	if err != nil || !ok || public.N.BitLen() < issuer.MinBits || out.KeyUsage != types.KeyUsageTypeSignVerify ||
		!slices.Contains(out.SigningAlgorithms, types.SigningAlgorithmSpecRsassaPkcs1V15Sha256) {
		return nil, gatekeeper.Errorf(gatekeeper.CodeUnavailable, "key %s is not for signing by RSASSA_PKCS1_V1_5_SHA_256; make one with `aws kms create-key --key-usage SIGN_VERIFY --key-spec RSA_3072`", name)
	}
	return public, nil
}

func (k *Keys) sign(ctx context.Context, name string, digest []byte) ([]byte, error) {
	client, err := k.client(ctx, name)
	if err != nil {
		return nil, err
	}
	out, err := client.Sign(ctx, &kms.SignInput{KeyId: &name, Message: digest, MessageType: types.MessageTypeDigest,
		SigningAlgorithm: types.SigningAlgorithmSpecRsassaPkcs1V15Sha256})
	if err != nil {
		return nil, told(err)
	}
	return out.Signature, nil
}

// client is made for each call: making one is cheap, and the region is the
// key's own.
func (k *Keys) client(ctx context.Context, name string) (*kms.Client, error) {
	parsed, _ := arn.Parse(name) // New did
	options := []func(*config.LoadOptions) error{config.WithRegion(parsed.Region), config.WithHTTPClient(awshttp.NewBuildableClient().WithTimeout(callTime))}
	if k.o.Credentials != nil {
		options = append(options, config.WithCredentialsProvider(k.o.Credentials))
	}
	cfg, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return nil, gatekeeper.Wrap(err, gatekeeper.CodeUnavailable, "the gatekeeper's AWS configuration cannot be read")
	}
	return kms.NewFromConfig(cfg, func(o *kms.Options) {
		o.RetryMaxAttempts = maxTries
		if k.o.Endpoint != "" {
			o.BaseEndpoint = &k.o.Endpoint
		}
	}), nil
}

// told is the error by KMS's own code: its messages may name more.
func told(err error) error {
	code := "no answer"
	var refused smithy.APIError
	if errors.As(err, &refused) {
		code = ask.Word(refused.ErrorCode())
	}
	return &gatekeeper.Error{Code: gatekeeper.CodeUnavailable, RetryAfter: coolDown,
		Description: "AWS KMS does not sign: " + code + hint(code)}
}

func hint(code string) string {
	switch code {
	case "AccessDeniedException":
		return "; the gatekeeper's AWS identity needs kms:Sign and kms:GetPublicKey on the key"
	case "DisabledException", "KMSInvalidStateException":
		return "; the key is disabled or waits for its deletion"
	case "NotFoundException":
		return "; there is no such key in this account and region"
	}
	return ""
}
