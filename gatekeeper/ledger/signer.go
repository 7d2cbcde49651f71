// Package ledger makes the record of everything decided and issued
// tamper-evident: events are the leaves of an RFC 6962 Merkle tree whose head
// is signed after each transaction as a C2SP checkpoint
// (https://c2sp.org/tlog-checkpoint). It verifies, proves and exports it.
package ledger

import (
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// SignerOptions say whose checkpoints they are. Both are needed.
type SignerOptions struct {
	Origin string             // the log's unique name, e.g. gatekeeper.example.com/ledger
	Key    ed25519.PrivateKey // see LoadOrCreateKey
}

// Signer appends leaves and signs the tree's head. The zero Signer refuses,
// so nothing can be recorded, and so nothing decided, without a key.
type Signer struct {
	origin string
	signer note.Signer
}

// NewSigner checks the origin and the key.
func NewSigner(o SignerOptions) (*Signer, error) {
	signer, err := noteSigner(o.Origin, o.Key)
	if err != nil {
		return nil, gatekeeper.Wrap(err, gatekeeper.CodeInvalidRequest, "checkpoints cannot be signed as %q", o.Origin)
	}
	return &Signer{origin: o.Origin, signer: signer}, nil
}

// Append adds leaves to a tree of size leaves. read gives hashes stored
// before, by tlog's storage index; it is asked for O(log n) of them. The
// answer is the hashes to store, contiguous from tlog.StoredHashCount(size),
// and the signed checkpoint of the new tree.
func (s *Signer) Append(size int64, read func(indexes []int64) ([][32]byte, error), leaves [][]byte) (hashes [][32]byte, checkpoint []byte, err error) {
	if s == nil || s.signer == nil {
		return nil, nil, gatekeeper.Errorf(gatekeeper.CodeUnavailable, "the ledger has no signing key")
	}
	grown := &growing{from: tlog.StoredHashCount(size), read: read}
	for i, leaf := range leaves {
		fresh, err := tlog.StoredHashes(size+int64(i), leaf, grown)
		if err != nil {
			return nil, nil, err
		}
		grown.fresh = append(grown.fresh, fresh...)
	}
	root, err := tlog.TreeHash(size+int64(len(leaves)), grown)
	if err != nil {
		return nil, nil, err
	}
	checkpoint, err = s.Checkpoint(size+int64(len(leaves)), root)
	return plain(grown.fresh), checkpoint, err
}

// Checkpoint signs a tree head.
func (s *Signer) Checkpoint(size int64, root [32]byte) ([]byte, error) {
	text := fmt.Sprintf("%s\n%d\n%s\n", s.origin, size, base64.StdEncoding.EncodeToString(root[:]))
	return note.Sign(&note.Note{Text: text}, s.signer)
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

// Head is what a checkpoint says.
type Head struct {
	Origin string
	Size   int64
	Root   [32]byte
}

// OpenCheckpoint verifies a checkpoint's signature with a verifier key and
// reads it. Unsigned or foreign ones are errors.
func OpenCheckpoint(checkpoint []byte, verifierKey string) (Head, error) {
	verifier, err := note.NewVerifier(verifierKey)
	if err != nil {
		return Head{}, gatekeeper.Wrap(err, gatekeeper.CodeInvalidRequest, "%q is no verifier key; it looks like origin+hash+key", verifierKey)
	}
	n, err := note.Open(checkpoint, note.VerifierList(verifier))
	if err != nil {
		return Head{}, gatekeeper.Wrap(err, gatekeeper.CodeInvalidRequest, "the checkpoint is not signed by %s", verifier.Name())
	}
	return parseHead(n.Text, verifier.Name())
}

func parseHead(text, origin string) (Head, error) {
	lines := strings.Split(text, "\n")
	if len(lines) < 4 || lines[0] != origin {
		return Head{}, gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, "the checkpoint is not one of %s", origin)
	}
	size, errSize := strconv.ParseInt(lines[1], 10, 64)
	root, errRoot := base64.StdEncoding.DecodeString(lines[2])
	if errSize != nil || size < 0 || lines[1] != strconv.FormatInt(size, 10) || errRoot != nil || len(root) != tlog.HashSize {
		return Head{}, gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, "the checkpoint of %s is malformed", origin)
	}
	return Head{Origin: origin, Size: size, Root: [32]byte(root)}, nil
}
