package store

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// trialSize is more than a table of PostgreSQL has room for without growing
// its file: on a full disk small changes may still fit where old rows were.
const trialSize = 256 << 10

// Ping says whether the database takes changes, by making one: an empty
// transaction ends well on a full disk and on a standby as well. After a
// change that was not taken it is one that needs room.
func (s *Store) Ping(ctx context.Context) error {
	value := []byte(time.Now().UTC().Format(time.RFC3339))
	if s.failing.Load() {
		value = make([]byte, trialSize)
		_, _ = rand.Read(value) // it never fails, and cannot be compressed
	}
	err := s.do(ctx, func(*tx) (gatekeeper.Change, error) {
		return gatekeeper.Change{Notes: []gatekeeper.Note{{Kind: "ping", Key: "last", Value: value}}}, nil
	})
	if err == nil && len(value) == trialSize {
		s.failing.Store(false)
	}
	return err
}

// remember keeps whether the ledger's last change was taken.
func (s *Store) remember(t *tx, err error) {
	if err != nil || len(t.events) > 0 {
		s.failing.Store(err != nil)
	}
}
