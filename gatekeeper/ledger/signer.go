// Package ledger makes the record of everything decided and issued
// tamper-evident: events are the leaves of an RFC 6962 Merkle tree whose head
// is signed after each transaction as a C2SP checkpoint
// (https://c2sp.org/tlog-checkpoint). It verifies, proves and exports it.
package ledger

import (
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"sync"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// SignerOptions say whose checkpoints they are. Both are needed.
type SignerOptions struct {
	Origin string             // the log's unique name, e.g. gatekeeper.example.com/ledger
	Key    ed25519.PrivateKey // see LoadOrCreateKey
	// Held are the keys that the process can have now, asked for when another
	// replica rotated to one that the signer does not have; nil: none.
	Held func() []ed25519.PrivateKey
}

// Signer appends leaves and signs the tree's head. The zero Signer refuses,
// so nothing can be recorded, and so nothing decided, without a key. It is
// safe for concurrent use.
type Signer struct {
	origin string
	held   func() []ed25519.PrivateKey

	mu      sync.Mutex
	current *signingKey
	next    *signingKey // prepared for a rotation
	heir    *signingKey // of a rotation that was signed: takes over at size rotates, if that append was committed
	rotates int64       // 0: none
}

// signingKey is a key with its public form.
type signingKey struct {
	note.Signer
	verifier string
}

// NewSigner checks the origin and the key.
func NewSigner(o SignerOptions) (*Signer, error) {
	s := &Signer{origin: o.Origin, held: o.Held}
	return s, s.Adopt(o.Key)
}

// Adopt makes key the one that signs, without a rotation: it finishes one
// that was recorded before a crash.
func (s *Signer) Adopt(key ed25519.PrivateKey) error {
	k, err := newSigningKey(s.origin, key)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current, s.next, s.heir, s.rotates = k, nil, nil, 0
	return nil
}

// Prepare makes key the one to rotate to. It signs nothing before the
// rotation's event is appended.
func (s *Signer) Prepare(key ed25519.PrivateKey) error {
	k, err := newSigningKey(s.origin, key)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next = k
	return nil
}

func newSigningKey(origin string, key ed25519.PrivateKey) (*signingKey, error) {
	signer, err := noteSigner(origin, key)
	if err != nil {
		return nil, gatekeeper.Wrap(err, gatekeeper.CodeInvalidRequest, "checkpoints cannot be signed as %q", origin)
	}
	verifier, err := VerifierKey(origin, key)
	return &signingKey{signer, verifier}, err
}

// Append adds leaves to a tree of size leaves. read gives hashes stored
// before, by tlog's storage index; it is asked for O(log n) of them. The
// answer is the hashes to store, contiguous from tlog.StoredHashCount(size),
// and the signed checkpoint of the new tree. Where the leaves hold a rotation
// of the key, both keys sign, and the next append of a larger tree, which
// shows that this one was committed, is signed by the next key alone.
func (s *Signer) Append(size int64, read func(indexes []int64) ([][32]byte, error), leaves [][]byte) (hashes [][32]byte, checkpoint []byte, err error) {
	if s == nil {
		return nil, nil, errNoKey
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current == nil {
		return nil, nil, errNoKey
	}
	grown := &growing{from: tlog.StoredHashCount(size), read: read}
	for i, leaf := range leaves {
		fresh, err := tlog.StoredHashes(size+int64(i), leaf, grown)
		if err != nil {
			return nil, nil, err
		}
		grown.fresh = append(grown.fresh, fresh...)
	}
	whole := size + int64(len(leaves))
	root, err := tlog.TreeHash(whole, grown)
	if err != nil {
		return nil, nil, err
	}
	signers, err := s.signers(size, leaves)
	if err != nil {
		return nil, nil, err
	}
	checkpoint, err = s.sign(whole, root, signers...)
	return plain(grown.fresh), checkpoint, err
}

var errNoKey = gatekeeper.Errorf(gatekeeper.CodeUnavailable, "the ledger has no signing key")

// signers are the key in force at size, and the next one where the leaves
// rotate to it.
func (s *Signer) signers(size int64, leaves [][]byte) ([]note.Signer, error) {
	if s.rotates > 0 && size >= s.rotates {
		s.current = s.heir
	}
	s.heir, s.rotates = nil, 0
	signers := []note.Signer{s.current}
	for _, leaf := range leaves {
		if !isRotation(leaf) {
			continue
		}
		r, err := rotationOf(leaf, s.origin)
		if err != nil {
			return nil, err
		}
		if len(signers) > 1 || s.next == nil || r.From != s.current.verifier || r.To != s.next.verifier {
			return nil, gatekeeper.Errorf(gatekeeper.CodeUnavailable, "the ledger's key cannot rotate to one that was not prepared")
		}
		signers, s.heir, s.rotates = append(signers, s.next), s.next, size+int64(len(leaves))
	}
	return signers, nil
}

// Follow is told of the last rotation that the ledger has, nil for none, and
// refuses to go on with another key: what it signed would not verify.
func (s *Signer) Follow(rotation []byte) error {
	if s == nil || rotation == nil {
		return nil // Append says what is missing
	}
	r, err := rotationOf(rotation, s.origin)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current != nil && r.To == s.current.verifier || s.heir != nil && r.To == s.heir.verifier {
		return nil
	}
	if s.held != nil {
		for _, key := range s.held() {
			if k, err := newSigningKey(s.origin, key); err == nil && k.verifier == r.To {
				s.current, s.heir, s.rotates = k, nil, 0
				return nil
			}
		}
	}
	return gatekeeper.Errorf(gatekeeper.CodeUnavailable, "the ledger's key was rotated to %s, which this replica does not have; give it the new key file", r.To)
}

// Checkpoint signs a tree head with the key in force.
func (s *Signer) Checkpoint(size int64, root [32]byte) ([]byte, error) {
	return s.sign(size, root, s.current)
}

func (s *Signer) sign(size int64, root [32]byte, signers ...note.Signer) ([]byte, error) {
	text := fmt.Sprintf("%s\n%d\n%s\n", s.origin, size, base64.StdEncoding.EncodeToString(root[:]))
	return note.Sign(&note.Note{Text: text}, signers...)
}

// growing reads stored hashes, and those that this append makes itself.
type growing struct {
	from  int64
	fresh []tlog.Hash
	read  func([]int64) ([][32]byte, error)
}

// ReadHashes implements tlog.HashReader.
func (g *growing) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	var old, at []int64
	for i, index := range indexes {
		if index >= g.from {
			out[i] = g.fresh[index-g.from]
		} else {
			old, at = append(old, index), append(at, int64(i))
		}
	}
	if len(old) == 0 {
		return out, nil
	}
	stored, err := g.read(old)
	if err != nil {
		return nil, err
	}
	if len(stored) != len(old) {
		return nil, gatekeeper.Errorf(gatekeeper.CodeUnavailable, "the ledger's store gave %d hashes of %d", len(stored), len(old))
	}
	for i, hash := range stored {
		out[at[i]] = hash
	}
	return out, nil
}

func plain(hashes []tlog.Hash) [][32]byte {
	out := make([][32]byte, len(hashes))
	for i, h := range hashes {
		out[i] = h
	}
	return out
}
