package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// Once implements gatekeeper.Store. Its keys stand among the tokens': both
// count once for as long as they are kept, and are dropped together.
func (s *Store) Once(ctx context.Context, key string, keep time.Duration, c gatekeeper.Change) (bool, error) {
	sum := sha256.Sum256([]byte("once\x00" + key))
	stored := hex.EncodeToString(sum[:])
	first := false
	err := s.do(ctx, func(t *tx) (gatekeeper.Change, error) {
		var hash string
		err := t.row(`SELECT hash FROM tokens WHERE key = ?`, stored).Scan(&hash)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			first = true
			return c, t.keepToken(stored, gatekeeper.Token{Hash: stored, ExpiresAt: t.now.Add(keep)})
		case err != nil:
			return gatekeeper.Change{}, unavailable(err)
		}
		return gatekeeper.Change{}, nil
	})
	return first && err == nil, err
}
