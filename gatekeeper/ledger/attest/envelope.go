package attest

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"slices"
	"strings"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/ledger"
	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	"golang.org/x/mod/sumdb/tlog"
)

// Sign puts a statement into an envelope. The key is the ledger's, which
// speaks of the ledger alone: a DSSE signature covers "DSSEv1 …", which is no
// checkpoint's first line, so neither can be taken for the other.
func Sign(ctx context.Context, s Statement, key ed25519.PrivateKey) ([]byte, error) {
	payload, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	signer, err := dsse.NewEnvelopeSigner(edKey{key, key.Public().(ed25519.PublicKey)})
	if err != nil {
		return nil, err
	}
	envelope, err := signer.SignPayload(ctx, PayloadType, payload)
	if err != nil {
		return nil, err
	}
	return json.Marshal(envelope)
}

// edKey signs and verifies for DSSE, which wants the whole message: Ed25519
// hashes by itself (RFC 8032).
type edKey struct {
	private ed25519.PrivateKey
	public  ed25519.PublicKey
}

// Sign implements dsse.Signer.
func (k edKey) Sign(_ context.Context, data []byte) ([]byte, error) {
	return ed25519.Sign(k.private, data), nil
}

// Verify implements dsse.Verifier.
func (k edKey) Verify(_ context.Context, data, sig []byte) error {
	if !ed25519.Verify(k.public, data, sig) {
		return errors.New("attest: the signature is not of this key")
	}
	return nil
}

// KeyID implements dsse.Verifier; it is a hint only.
func (k edKey) KeyID() (string, error) { return dsse.SHA256KeyID(k.public) }

// Public implements dsse.Verifier.
func (k edKey) Public() crypto.PublicKey { return k.public }

// maxEnvelope bounds what is parsed.
const maxEnvelope = 1 << 20

// Verify checks an envelope with the ledger's public key alone: the
// signature, the types, and that the ledger has the approval. key is a
// verifier key, or PEM.
func Verify(ctx context.Context, envelope []byte, key string) (Statement, error) {
	refuse := func(cause error, what string) (Statement, error) {
		return Statement{}, gatekeeper.Wrap(cause, gatekeeper.CodeInvalidRequest, "%s", what)
	}
	public, err := Key(key)
	if err != nil {
		return Statement{}, err
	}
	var e dsse.Envelope
	if len(envelope) > maxEnvelope || json.Unmarshal(envelope, &e) != nil {
		return refuse(nil, "it is no DSSE envelope")
	}
	verifier, err := dsse.NewEnvelopeVerifier(edKey{public: public})
	if err != nil {
		return Statement{}, err
	}
	_, payload, err := verifier.VerifyAndDecode(ctx, &e)
	if err != nil {
		return refuse(err, "the envelope is not signed by this key")
	}
	var s Statement
	d := json.NewDecoder(bytes.NewReader(payload))
	if err := d.Decode(&s); err != nil || e.PayloadType != PayloadType || s.Type != StatementType || s.PredicateType != PredicateType {
		return refuse(err, "it attests no approval of a gatekeeper")
	}
	if err := s.included(); err != nil {
		return refuse(err, "the ledger's checkpoint does not cover this approval")
	}
	return s, nil
}

// included follows the proof. The checkpoint's own signature is one of the
// ledger's keys, which the envelope's key vouches for here.
func (s Statement) included() error {
	l := s.Predicate.Ledger
	head, err := ledger.ReadHead([]byte(l.Checkpoint))
	if err != nil {
		return err
	}
	var e gatekeeper.Event
	if err := json.Unmarshal([]byte(l.Event), &e); err != nil {
		return err
	}
	if e.Type != gatekeeper.EventRequestApproved || e.Request != s.Predicate.Request || e.Data["digest"] != s.Predicate.ApprovalDigest {
		return errors.New("attest: the event is not the approval of this request")
	}
	return tlog.CheckRecord(l.Proof, head.Size, tlog.Hash(head.Root), l.Index, tlog.RecordHash([]byte(l.Event)))
}

// Want is what a deployment demands of a statement; empty fields do not.
type Want struct {
	Commit, Repository, Environment string
	Artifact                        string // NAME@sha256:HEX; the digest counts
	Approvers                       int    // at least so many people
	NoBreakGlass                    bool
}

// Meets says what a statement lacks, nil when it has everything.
func (s Statement) Meets(w Want) error {
	a := s.Predicate
	hasArtifact := func(x Subject) bool {
		_, digest, ok := strings.Cut(w.Artifact, "sha256:")
		return ok && x.Digest["sha256"] == digest && x.Name != a.Request
	}
	hasCommit := slices.ContainsFunc(s.Subject, func(x Subject) bool { return x.Digest["gitCommit"] == w.Commit })
	for what, missing := range map[string]bool{
		"commit " + w.Commit:                   w.Commit != "" && !hasCommit,
		"repository " + w.Repository:           w.Repository != "" && a.Workload.Repository != w.Repository,
		"environment " + w.Environment:         w.Environment != "" && gatekeeper.FoldEnvironment(a.Environment) != gatekeeper.FoldEnvironment(w.Environment),
		"artifact " + w.Artifact:               w.Artifact != "" && !slices.ContainsFunc(s.Subject, hasArtifact),
		"enough people":                        len(a.Approvers) < w.Approvers,
		"anything but an emergency's approval": w.NoBreakGlass && a.BreakGlass,
	} {
		if missing {
			return gatekeeper.Errorf(gatekeeper.CodeAccessDenied, "it does not attest %s: it is of %s at %s for %s, approved by %d people",
				what, a.Workload.Repository, a.Workload.Commit, a.Environment, len(a.Approvers))
		}
	}
	return nil
}

// Key reads a verifier key, or a public key in PEM.
func Key(text string) (ed25519.PublicKey, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return ledger.PublicKey(strings.TrimSpace(text))
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if public, ok := key.(ed25519.PublicKey); ok && err == nil {
		return public, nil
	}
	return nil, gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, "the PEM holds no Ed25519 public key; `gatekeeper audit key --format pem` prints the ledger's")
}

// PEM is a public key as admission controllers take it.
func PEM(key ed25519.PublicKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), nil
}
