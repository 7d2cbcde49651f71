package oidc

import (
	"crypto/sha256"
	"sync"
)

// memoSize is how many tokens are remembered at least; twice as many at most,
// about 64 bytes each.
const memoSize = 16 << 10

// memo remembers which tokens' signatures held, and under which key: a step
// that waits shows the same token again and again where its CI mints no fresh
// one. It answers for the signature alone. Everything else of a token is
// checked at each use, and a key that was fetched anew is another key here, so
// a withdrawn one verifies nothing that it verified before.
//
// Only tokens that held get in, so strangers cannot fill it.
type memo struct {
	mu         sync.Mutex
	young, old map[[sha256.Size]byte]publicKey
}

// held tells whether the token of that hash held under this very key.
func (m *memo) held(token [sha256.Size]byte, key publicKey) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	known, ok := m.young[token]
	if !ok {
		if known, ok = m.old[token]; ok {
			m.keep(token, known)
		}
	}
	return ok && known == key
}

func (m *memo) add(token [sha256.Size]byte, key publicKey) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.keep(token, key)
}

func (m *memo) keep(token [sha256.Size]byte, key publicKey) {
	if len(m.young) >= memoSize || m.young == nil {
		m.old, m.young = m.young, map[[sha256.Size]byte]publicKey{}
	}
	m.young[token] = key
}
