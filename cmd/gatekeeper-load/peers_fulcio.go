package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net"
	"net/http"
	"os"
	"path/filepath"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/ciissuer"
)

// fulcio is sigstore's certificate authority, with a key in memory and no
// transparency log.
type fulcio struct {
	*process
	url    string
	client *http.Client
	bodies []string
}

func fulcioStart(o peerOptions, ci *ciissuer.Issuer) func(context.Context, string) (runner, error) {
	return func(ctx context.Context, dir string) (runner, error) {
		config, err := json.Marshal(map[string]any{"OIDCIssuers": map[string]any{
			ci.URL(): map[string]string{"IssuerURL": ci.URL(), "ClientID": "sigstore", "Type": "github-workflow"},
		}})
		if err != nil {
			return nil, err
		}
		path := filepath.Join(dir, "config.json")
		if err := os.WriteFile(path, config, 0o600); err != nil {
			return nil, err
		}
		f := &fulcio{client: callers(o)}
		if f.bodies, err = signingRequests(tokensFor(o, ci, "sigstore")); err != nil {
			return nil, err
		}
		// HTTP and gRPC at ports of their own: at one for both it does not start.
		host, port, _ := net.SplitHostPort(free())
		_, grpcPort, _ := net.SplitHostPort(free())
		_, metricsPort, _ := net.SplitHostPort(free())
		f.url = "http://" + net.JoinHostPort(host, port)
		f.process, err = begin(ctx, dir, answers(f.url+"/api/v2/trustBundle"), o.fulcio, "serve", "--ca", "ephemeralca", "--ct-log-url", "", "--config-path", path,
			"--host", host, "--port", port, "--grpc-host", host, "--grpc-port", grpcPort, "--metrics-port", metricsPort,
			"--legacy-unix-domain-socket", filepath.Join(dir, "legacy.sock"), "--log_type", "prod")
		return f, err
	}
}

// signingRequests are the calls' bodies: a key, and the proof that the caller
// has it, over the token's subject.
func signingRequests(tokens []string) ([]string, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(ciissuer.Defaults()["sub"].(string)))
	proof, err := ecdsa.SignASN1(rand.Reader, key, sum[:])
	if err != nil {
		return nil, err
	}
	public := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	bodies := make([]string, len(tokens))
	for i, token := range tokens {
		body, err := json.Marshal(map[string]any{
			"credentials":      map[string]string{"oidcIdentityToken": token},
			"publicKeyRequest": map[string]any{"publicKey": map[string]string{"algorithm": "ECDSA", "content": public}, "proofOfPossession": proof},
		})
		if err != nil {
			return nil, err
		}
		bodies[i] = string(body)
	}
	return bodies, nil
}

func (f *fulcio) exchange(ctx context.Context, n int) error {
	return post(ctx, f.client, f.url+"/api/v2/signingCert", "application/json", "", f.bodies[n], "BEGIN CERTIFICATE")
}
