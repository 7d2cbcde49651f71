package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"strings"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/ledger"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/ledger/sink"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/store"
)

// keeper keeps the ledger: what writes it, the key that signs it, and what
// operators have done with both.
type keeper struct {
	cfg    config
	log    *slog.Logger
	store  *store.Store
	signer *ledger.Signer
}

// The work that `gatekeeper audit` leaves for whoever serves.
const (
	workRotate = "ledger.rotate_key" // payload: rotateOrder
	workPrune  = "ledger.prune"      // payload: pruneOrder
)

// rotateOrder names the key that is in force, so that an order which was
// carried out before a crash is not carried out again.
type rotateOrder struct {
	From string `json:"from"`
	By   string `json:"by"`
}

type pruneOrder struct {
	Before time.Time `json:"before"`
	By     string    `json:"by"`
}

// openKeeper opens the database for writing with the key that is in force.
func openKeeper(ctx context.Context, cfg config, log *slog.Logger) (*keeper, error) {
	key, err := ledger.LoadOrCreateKey(cfg.LedgerKey)
	if err != nil {
		return nil, err
	}
	k := &keeper{cfg: cfg, log: log}
	if k.signer, err = ledger.NewSigner(ledger.SignerOptions{Origin: cfg.origin(), Key: key, Held: k.held}); err != nil {
		return nil, err
	}
	clock := cfg.clock
	if store.Postgres(cfg.Database) {
		clock = nil // another machine's, which goes by its own
	}
	if k.store, err = store.Open(ctx, store.Options{Path: cfg.Database, Ledger: k.signer, Logger: log, Now: clock}); err != nil {
		return nil, err
	}
	if err := k.inForce(ctx, key); err != nil {
		_ = k.store.Close()
		return nil, err
	}
	return k, nil
}

// inForce refuses to sign with a key that the ledger does not know, and ends
// a rotation that a crash interrupted after it was recorded.
func (k *keeper) inForce(ctx context.Context, key ed25519.PrivateKey) error {
	next, err := k.recorded(ctx)
	if err != nil {
		return err
	}
	if next != nil {
		return errors.Join(ledger.ReplaceKey(k.nextKey(), k.cfg.LedgerKey), k.signer.Adopt(next))
	}
	note, err := k.store.Reader().NewestCheckpoint(ctx)
	if err != nil || note == nil {
		return err
	}
	public, err := ledger.VerifierKey(k.cfg.origin(), key)
	if err != nil {
		return err
	}
	rotated, err := k.rotatedTo(ctx)
	if err != nil {
		return err
	}
	if _, err := ledger.OpenCheckpoint(note, public); err != nil || (rotated != "" && rotated != public) {
		name, _, _ := strings.Cut(string(note), "\n")
		return gatekeeper.Errorf(gatekeeper.CodeUnavailable, "%s is not the key that signs the ledger, which is named %s; "+
			"put the right key back, or where url: changed, name the ledger as before: audit: {origin: %s}", k.cfg.LedgerKey, name, name)
	}
	return nil
}

// held are the keys on disk: replicas that share it follow a rotation at once.
func (k *keeper) held() (keys []ed25519.PrivateKey) {
	for _, path := range []string{k.cfg.LedgerKey, k.nextKey()} {
		if key, err := ledger.LoadKey(path); err == nil {
			keys = append(keys, key)
		}
	}
	return keys
}

// nextKey is where the next key waits.
func (k *keeper) nextKey() string { return k.cfg.LedgerKey + ".next" }

// rotatedTo is the key that the ledger last rotated to, "" before the first
// rotation.
func (k *keeper) rotatedTo(ctx context.Context) (key string, err error) {
	err = k.store.Reader().OfType(ctx, gatekeeper.EventKeyRotated, func(l store.Leaf) error {
		var e struct{ Data ledger.Rotation }
		err := json.Unmarshal(l.Body, &e)
		key = e.Data.To
		return err
	})
	return key, err
}

// recorded is the next key if the ledger says that it took over already.
func (k *keeper) recorded(ctx context.Context) (ed25519.PrivateKey, error) {
	next, err := ledger.LoadKey(k.nextKey())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	public, err := ledger.VerifierKey(k.cfg.origin(), next)
	if err != nil {
		return nil, err
	}
	if rotated, err := k.rotatedTo(ctx); err != nil || rotated != public {
		return nil, err
	}
	return next, nil
}

func (k *keeper) handlers() map[string]gatekeeper.WorkHandler {
	return map[string]gatekeeper.WorkHandler{workRotate: k.rotate, workPrune: k.prune}
}

// rotate makes a next key, records it under the one in force, and puts it in
// its place. Each step can be repeated.
func (k *keeper) rotate(ctx context.Context, w gatekeeper.Work) error {
	var order rotateOrder
	if err := json.Unmarshal(w.Payload, &order); err != nil {
		return err
	}
	if alone, err := k.store.Alone(ctx); err != nil || !alone {
		return errors.Join(err, gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, "replicas that serve would go on signing with the old key; "+
			"stop all of them, rotate, give each the new key file, and start them again"))
	}
	key, err := ledger.LoadKey(k.cfg.LedgerKey)
	if err != nil {
		return err
	}
	if public, err := ledger.VerifierKey(k.cfg.origin(), key); err != nil || public != order.From {
		return err // it was carried out
	}
	next, err := k.recorded(ctx)
	if err != nil {
		return err
	}
	if next == nil {
		if err := k.recordRotation(ctx, key, order); err != nil {
			return err
		}
	}
	return ledger.ReplaceKey(k.nextKey(), k.cfg.LedgerKey)
}

func (k *keeper) recordRotation(ctx context.Context, key ed25519.PrivateKey, order rotateOrder) error {
	next, err := ledger.LoadOrCreateKey(k.nextKey())
	if err != nil {
		return err
	}
	r, err := ledger.NewRotation(k.cfg.origin(), key, next)
	if err != nil {
		return err
	}
	if err := k.signer.Prepare(next); err != nil {
		return err
	}
	data := r.Data()
	data["by"] = order.By
	return k.record(ctx, gatekeeper.EventKeyRotated, data)
}

// pruneStep bounds a transaction, so that decisions never wait for long.
const pruneStep = 500

// prune records what may go, and then lets it go, step by step.
func (k *keeper) prune(ctx context.Context, w gatekeeper.Work) error {
	var order pruneOrder
	if err := json.Unmarshal(w.Payload, &order); err != nil {
		return err
	}
	reader := k.store.Reader()
	before, err := reader.FirstAt(ctx, order.Before.UnixNano())
	if err != nil {
		return err
	}
	if before, err = k.delivered(ctx, before); err != nil || before == 0 {
		return err
	}
	data := ledger.Pruning{Before: order.Before, BeforeIndex: before}.Data()
	data["by"] = order.By
	if err := k.record(ctx, gatekeeper.EventPruned, data); err != nil {
		return err
	}
	for at := int64(0); at < before; {
		p, err := k.store.Prune(ctx, at, before, pruneStep)
		if err != nil || p.Next == at {
			return err
		}
		at = p.Next
	}
	if err := k.store.Forget(ctx); err != nil {
		k.log.WarnContext(ctx, "what was pruned stays in the write-ahead log for a while", "error", err)
	}
	return nil
}

// delivered keeps what a sink still waits for.
func (k *keeper) delivered(ctx context.Context, before int64) (int64, error) {
	for _, s := range k.cfg.Sinks {
		cursor, err := sink.ReadCursor(ctx, k.store, s.Name)
		if err != nil {
			return 0, err
		}
		if cursor.Next < before {
			k.log.WarnContext(ctx, "a sink is behind; what it did not take is not pruned", "sink", s.Name, "from", cursor.Next)
			before = cursor.Next
		}
	}
	return before, nil
}

func newEventID() string { return "evt_" + strings.ToLower(rand.Text()) }

func (k *keeper) record(ctx context.Context, t gatekeeper.EventType, data map[string]any) error {
	return k.store.Record(ctx, gatekeeper.Change{Events: []gatekeeper.Event{{
		ID: newEventID(), Type: t, Time: time.Now().UTC(),
		Actor: gatekeeper.Actor{Kind: "gatekeeper", ID: "ledger"}, Data: data,
	}}})
}
