package store_test

import (
	"bytes"
	"crypto/ed25519"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/ledger"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/postgres"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/store"
)

// keyRotates rotates at one replica: the other one follows where it has the
// key, and else records nothing that would not verify.
func keyRotates(t *testing.T, pg *postgres.Server) {
	const origin = "gatekeeper.test/ledger"
	url := pg.Database()
	seed := func(b byte) ed25519.PrivateKey { return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{b}, 32)) }
	var disk []ed25519.PrivateKey
	signers := make([]*ledger.Signer, 2)
	replicas := make([]*store.Store, 2)
	for i := range signers {
		var err error
		signers[i], err = ledger.NewSigner(ledger.SignerOptions{Origin: origin, Key: seed(1), Held: func() []ed25519.PrivateKey { return disk }})
		if err != nil {
			t.Fatal(err)
		}
		replicas[i] = replica(t, url, signers[i])
	}
	record := func(i int, id string, kind gatekeeper.EventType, data map[string]any) error {
		return replicas[i].Record(t.Context(), gatekeeper.Change{Events: []gatekeeper.Event{{ID: id, Type: kind, Time: time.Now().UTC(), Data: data}}})
	}
	r, err := ledger.NewRotation(origin, seed(1), seed(2))
	if err != nil {
		t.Fatal(err)
	}
	if err := signers[0].Prepare(seed(2)); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{
		record(1, "evt_0", gatekeeper.EventRulesLoaded, nil), record(0, "evt_1", gatekeeper.EventKeyRotated, r.Data()), record(0, "evt_2", gatekeeper.EventRulesLoaded, nil),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := record(1, "evt_3", gatekeeper.EventRulesLoaded, nil); gatekeeper.CodeOf(err) != gatekeeper.CodeUnavailable {
		t.Fatalf("the replica with the old key: %v", err)
	}
	disk = []ed25519.PrivateKey{seed(2)}
	if err := record(1, "evt_3", gatekeeper.EventRulesLoaded, nil); err != nil {
		t.Fatal(err)
	}
	if report, err := ledger.Verify(t.Context(), source{replicas[0].Reader()}, ledger.VerifyOptions{VerifierKey: r.From}); err != nil || report.Events != 4 || len(report.Keys) != 2 {
		t.Errorf("%+v, %v", report, err)
	}
}
