package ledger

import (
	"bytes"
	"context"
	"encoding/json"
	"io"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"golang.org/x/mod/sumdb/tlog"
)

// BundleType names the form of a Bundle.
const BundleType = "https://github.com/gatekeeper-ci/gatekeeper/proof/v1"

// Bundle proves without a server that the events of a request stand in the
// ledger: each with its bytes and its way up to the root of one signed
// checkpoint. It proves what happened, not that nothing else did: the newest
// checkpoint at the time is in it, and later events are not.
type Bundle struct {
	Type       string        `json:"type"`
	Request    string        `json:"request"`
	Checkpoint string        `json:"checkpoint"` // the signed note
	Events     []ProvenEvent `json:"events"`
	Keys       []ProvenKey   `json:"keys,omitempty"` // the rotations of the ledger's key, in order
}

// ProvenEvent is an event and its inclusion proof.
type ProvenEvent struct {
	Index  int64       `json:"index"`
	Body   string      `json:"body,omitempty"` // exactly the bytes that were hashed
	Pruned string      `json:"leaf_hash,omitempty"`
	Proof  []tlog.Hash `json:"proof"` // RFC 6962 section 2.1.1, base64
}

// ProvenKey is a rotation: proven in the tree of its own checkpoint, which
// the key before it signed, and that tree proven to be a beginning of the
// bundle's (RFC 6962 section 2.1.2).
type ProvenKey struct {
	ProvenEvent
	Checkpoint  string      `json:"checkpoint"`
	Consistency []tlog.Hash `json:"consistency"`
}

// Proofs is what proofs are made of: a stored ledger with its indexes.
type Proofs interface {
	// OfRequest visits the events of one request.
	OfRequest(ctx context.Context, id string, visit func(Leaf) error) error
	// OfType visits the events of one type.
	OfType(ctx context.Context, t gatekeeper.EventType, visit func(Leaf) error) error
	// StoredHashes are stored hashes by tlog's storage index.
	StoredHashes(ctx context.Context, indexes []int64) ([][32]byte, error)
	// CheckpointCovering is the first checkpoint of at least size events, nil
	// when there is none.
	CheckpointCovering(ctx context.Context, size int64) ([]byte, error)
	// NewestCheckpoint is nil for an empty ledger.
	NewestCheckpoint(ctx context.Context) ([]byte, error)
}

// Prove makes the bundle of a request. It reads O(log n) hashes for each of
// its events, however long the ledger is.
func Prove(ctx context.Context, src Proofs, request string) (Bundle, error) {
	note, err := src.NewestCheckpoint(ctx)
	if err != nil {
		return Bundle{}, err
	}
	p := prover{ctx: ctx, src: src}
	if note != nil {
		if p.head, err = ReadHead(note); err != nil {
			return Bundle{}, err
		}
	}
	b := Bundle{Type: BundleType, Request: request, Checkpoint: string(note)}
	if b.Events, err = p.events(request); err != nil {
		return Bundle{}, err
	}
	if len(b.Events) == 0 {
		return Bundle{}, gatekeeper.Errorf(gatekeeper.CodeNotFound, "the ledger knows no request %q", request)
	}
	b.Keys, err = p.keys()
	return b, err
}

type prover struct {
	ctx  context.Context
	src  Proofs
	head Head
}

// ReadHashes implements tlog.HashReader.
func (p prover) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	stored, err := p.src.StoredHashes(p.ctx, indexes)
	out := make([]tlog.Hash, len(stored))
	for i, h := range stored {
		out[i] = h
	}
	return out, err
}

func (p prover) events(request string) (all []ProvenEvent, err error) {
	err = p.src.OfRequest(p.ctx, request, func(l Leaf) error {
		if l.Index >= p.head.Size {
			return nil // came after the checkpoint that was read
		}
		e, err := p.event(l, p.head.Size)
		all = append(all, e)
		return err
	})
	return all, err
}

func (p prover) event(l Leaf, size int64) (ProvenEvent, error) {
	proof, err := tlog.ProveRecord(size, l.Index, p)
	e := ProvenEvent{Index: l.Index, Body: string(l.Body), Proof: []tlog.Hash(proof)}
	if err == nil && l.Pruned() {
		var hash []tlog.Hash
		if hash, err = p.ReadHashes([]int64{tlog.StoredHashIndex(0, l.Index)}); err == nil {
			e.Pruned = hash[0].String()
		}
	}
	return e, err
}

func (p prover) keys() (all []ProvenKey, err error) {
	err = p.src.OfType(p.ctx, gatekeeper.EventKeyRotated, func(l Leaf) error {
		if l.Index >= p.head.Size {
			return nil
		}
		k, err := p.key(l)
		all = append(all, k)
		return err
	})
	return all, err
}

func (p prover) key(l Leaf) (ProvenKey, error) {
	note, err := p.src.CheckpointCovering(p.ctx, l.Index+1)
	if err != nil {
		return ProvenKey{}, err
	}
	head, err := ReadHead(note)
	if err != nil {
		return ProvenKey{}, err
	}
	e, err := p.event(l, head.Size)
	if err != nil {
		return ProvenKey{}, err
	}
	consistency, err := tlog.ProveTree(p.head.Size, head.Size, p)
	return ProvenKey{ProvenEvent: e, Checkpoint: string(note), Consistency: consistency}, err
}

// maxBundle bounds what is read of a bundle: thousands of events.
const maxBundle = 64 << 20

// ParseBundle reads a bundle strictly; nothing in it is believed yet.
func ParseBundle(body []byte) (Bundle, error) {
	var b Bundle
	if len(body) > maxBundle {
		return b, gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, "the bundle is larger than %d MiB", maxBundle>>20)
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&b); err != nil {
		return b, gatekeeper.Wrap(err, gatekeeper.CodeInvalidRequest, "it is no bundle of `gatekeeper audit prove`")
	}
	if _, err := d.Token(); err != io.EOF { //nolint:errorlint // as encoding/json gives it
		return b, gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, "something stands behind the bundle")
	}
	if b.Type != BundleType {
		return b, gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, "the bundle is of type %q; %s is known", b.Type, BundleType)
	}
	return b, nil
}
