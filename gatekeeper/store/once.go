package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// Once implements gatekeeper.Store. Its keys stand among the tokens': both
// count once for as long as they are kept, and are dropped together.
func (s *Store) Once(ctx context.Context, key string, keep time.Duration, c gatekeeper.Change) (bool, error) {
	sum := sha256.Sum256([]byte("once\x00" + key))
	stored := hex.EncodeToString(sum[:])
	first, known := false, newKept(stored)
	err := s.doAsking(ctx, &known.ask, func(t *tx) (gatekeeper.Change, error) {
		hash, err := known.in(t)
		if first = err == nil && hash == ""; !first {
			return gatekeeper.Change{}, err
		}
		return c, t.keepToken(stored, gatekeeper.Token{Hash: stored, ExpiresAt: t.now.Add(keep)})
	})
	return first && err == nil, err
}
