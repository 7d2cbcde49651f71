// Package issuer is the gatekeeper as OIDC issuer: a cloud that trusts only
// it cannot be reached by a job that goes around it. Tokens are only ever
// minted from a Grant and live five minutes.
package issuer

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// life is how long a token is valid: the exchange follows at once.
const life = 5 * time.Minute

// Options of an Issuer. URL and Key are needed.
type Options struct {
	URL string // public, exactly what clouds are told to trust
	Key *rsa.PrivateKey
	Now func() time.Time // nil: time.Now
}

// Issuer mints tokens and shows the key that verifies them.
type Issuer struct {
	o      Options
	signer jose.Signer
	jwks   []byte
}

// New makes an issuer. Its key's id is the key's RFC 7638 thumbprint.
func New(o Options) (*Issuer, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Key == nil || o.Key.N.BitLen() < 2048 {
		return nil, gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, "the signing key has to be RSA of at least 2048 bits")
	}
	public := jose.JSONWebKey{Key: o.Key.Public(), Algorithm: string(jose.RS256), Use: "sig"}
	print, err := public.Thumbprint(crypto.SHA256)
	if err != nil {
		return nil, err
	}
	public.KeyID = base64.RawURLEncoding.EncodeToString(print)
	jwks, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{public}})
	if err != nil {
		return nil, err
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: o.Key, KeyID: public.KeyID}},
		(&jose.SignerOptions{}).WithType("JWT"))
	return &Issuer{o: o, signer: signer, jwks: jwks}, err
}

// Handler serves /.well-known/openid-configuration and /.well-known/jwks.json.
func (i *Issuer) Handler() http.Handler {
	discovery, _ := json.Marshal(map[string]any{ // strings marshal
		"issuer": i.o.URL, "jwks_uri": i.o.URL + "/.well-known/jwks.json",
		"response_types_supported": []string{"id_token"}, "subject_types_supported": []string{"public"},
		"id_token_signing_alg_values_supported": []string{"RS256"},
		"claims_supported":                      []string{"iss", "sub", "aud", "exp", "iat", "nbf", "jti", "repository", "ref", "sha", "environment", "request", "approvers"},
	})
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", serve(discovery))
	mux.HandleFunc("GET /.well-known/jwks.json", serve(i.jwks))
	return mux
}

func serve(body []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "public, max-age=300")
		_, _ = w.Write(body)
	}
}

// Mint signs a token that says which workload may do what, by whose approval.
// Its subject is stable: repo:OWNER/NAME:environment:NAME, the environment in
// the case in which it was asked for.
func (i *Issuer) Mint(g gatekeeper.Grant, audience string) (string, error) {
	if !g.Valid() {
		return "", gatekeeper.Errorf(gatekeeper.CodeInternal, "there is no grant to mint a token from")
	}
	now := i.o.Now()
	r, w := g.Request(), g.Workload()
	return jwt.Signed(i.signer).Claims(jwt.Claims{
		Issuer: i.o.URL, Subject: "repo:" + w.Repository + ":environment:" + r.Environment, Audience: jwt.Audience{audience},
		ID: g.Redemption().ID, IssuedAt: jwt.NewNumericDate(now), NotBefore: jwt.NewNumericDate(now), Expiry: jwt.NewNumericDate(now.Add(life)),
	}).Claims(map[string]any{
		"repository": w.Repository, "repository_id": w.RepositoryID, "repository_owner": w.RepositoryOwner, "repository_owner_id": w.RepositoryOwnerID,
		"ref": w.Ref, "sha": w.SHA, "workflow": w.Workflow, "run_id": w.RunID, "run_attempt": w.RunAttempt,
		"environment": r.Environment, "rule": r.Rule.Name, "request": r.ID, "approvers": Approvers(r),
		// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html#id_session-tags_adding-assume-role-idp
		"https://aws.amazon.com/tags":            map[string]any{"principal_tags": lists(Tags(g))},
		"https://aws.amazon.com/source_identity": SourceIdentity(r),
	}).Serialize()
}

func lists(tags [][2]string) map[string][]string {
	out := map[string][]string{}
	for _, t := range tags {
		out[t[0]] = []string{t[1]}
	}
	return out
}

// LoadOrCreate reads an RSA key in PKCS#8 PEM, and makes it where there is
// none: whole or not at all, readable by its owner only.
func LoadOrCreate(path string) (*rsa.PrivateKey, error) {
	body, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err = create(path); err == nil {
			body, err = os.ReadFile(path)
		}
	}
	if err != nil {
		return nil, gatekeeper.Wrap(err, gatekeeper.CodeUnavailable, "the signing key %s cannot be read or made", path)
	}
	block, _ := pem.Decode(body)
	if block != nil {
		if key, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
			if k, ok := key.(*rsa.PrivateKey); ok && k.N.BitLen() >= 2048 {
				return k, nil
			}
		}
	}
	return nil, gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, "%s holds no RSA key of at least 2048 bits in PKCS#8 PEM; `openssl genpkey -algorithm rsa -pkeyopt rsa_keygen_bits:3072` makes one", path)
}

func create(path string) error {
	key, err := rsa.GenerateKey(rand.Reader, 3072)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".key-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(tmp.Name()) }()
	_, err = tmp.Write(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	if err := errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	// link refuses when another process was first; its key is as good.
	if err := os.Link(tmp.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// Approvers are who approved, as Slack ids.
func Approvers(r gatekeeper.Request) []string {
	ids := []string{}
	for _, v := range r.ApprovedBy() {
		ids = append(ids, v.Person.Slack)
	}
	return ids
}

// Tags are what a session tells about its origin, each value within what AWS
// takes: 256 of letters, digits, spaces and _.:/=+-@
// (https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html).
func Tags(g gatekeeper.Grant) [][2]string {
	r, w := g.Request(), g.Workload()
	var tags [][2]string
	for _, t := range [][2]string{
		{"repository", w.Repository}, {"environment", r.Environment}, {"run", w.RunID}, {"request", r.ID},
		{"rule", r.Rule.Name}, {"approvers", strings.Join(Approvers(r), "+")}, {"ref", w.Ref}, {"sha", w.SHA},
	} {
		if value := keep(t[1], " _.:/=+-@", 256); value != "" {
			tags = append(tags, [2]string{t[0], value})
		}
	}
	return tags
}

// SourceIdentity is who approved, or the request where nobody had to: 2 to 64
// of letters, digits and _+=,.@-. It stays with a session over role chaining.
func SourceIdentity(r gatekeeper.Request) string {
	who := strings.Join(Approvers(r), "+")
	if len(who) < 2 || len(who) > 64 {
		who = r.ID
	}
	return keep(who, "_+=,.@-", 64)
}

// SessionName is what CloudTrail calls the session: the request first, since
// it is unique, then the repository.
func SessionName(g gatekeeper.Grant) string {
	return keep(g.Request().ID+"-"+g.Workload().Repository, "_+=,.@-", 64)
}

// keep replaces what AWS does not take by a dash and cuts at most bytes; all
// that is kept is ASCII.
func keep(s, also string, most int) string {
	mapped := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || (r < 0x80 && strings.ContainsRune(also, r)):
			return r
		}
		return '-'
	}, s)
	return mapped[:min(len(mapped), most)]
}
