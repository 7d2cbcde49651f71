package github

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"strconv"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// An App's token may live ten minutes, and may not come from the future
// (https://docs.github.com/apps/creating-github-apps/authenticating-with-a-github-app/generating-a-json-web-token-jwt-for-a-github-app).
const (
	appLife = 5 * time.Minute
	appSkew = time.Minute
)

func (e *Exchanger) appToken() (string, error) {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: e.key}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return "", gatekeeper.Wrap(err, gatekeeper.CodeInternal, "the GitHub App's key cannot sign")
	}
	now := e.o.Now()
	raw, err := jwt.Signed(signer).Claims(jwt.Claims{Issuer: strconv.FormatInt(e.o.AppID, 10),
		IssuedAt: jwt.NewNumericDate(now.Add(-appSkew)), Expiry: jwt.NewNumericDate(now.Add(appLife))}).Serialize()
	if err != nil {
		return "", gatekeeper.Wrap(err, gatekeeper.CodeInternal, "the GitHub App's key cannot sign")
	}
	return raw, nil
}

// parseKey takes PKCS#1, as GitHub gives it, and PKCS#8.
func parseKey(body []byte) (*rsa.PrivateKey, error) {
	if block, _ := pem.Decode(body); block != nil {
		if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
			return key, nil
		}
		if key, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
			if key, ok := key.(*rsa.PrivateKey); ok {
				return key, nil
			}
		}
	}
	return nil, gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, "github.private_key_file holds no RSA private key in PEM, as GitHub gives it for an App")
}
