package store

import (
	"maps"
	"slices"
	"sync"
)

// hub tells those who watch a request that it changed.
type hub struct {
	mu       sync.Mutex
	watchers map[string]map[chan struct{}]struct{}
}

// Ledgers is what to watch for news of the ledger itself: it is no request's
// id.
const Ledgers = ""

// Watch implements gatekeeper.Store.
func (s *Store) Watch(id string) (<-chan struct{}, func()) { return s.hub.watch(id) }

func (h *hub) watch(id string) (<-chan struct{}, func()) {
	ch := make(chan struct{}, 1)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.watchers == nil {
		h.watchers = map[string]map[chan struct{}]struct{}{}
	}
	if h.watchers[id] == nil {
		h.watchers[id] = map[chan struct{}]struct{}{}
	}
	h.watchers[id][ch] = struct{}{}
	return ch, func() { h.forget(id, ch) }
}

func (h *hub) forget(id string, ch chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.watchers[id], ch)
	if len(h.watchers[id]) == 0 {
		delete(h.watchers, id)
	}
}

// notify never blocks: a channel that holds a notice already needs no second.
func (h *hub) notify(id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for ch := range h.watchers[id] {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
}

// notifyAll is for a time in which notices may have been lost.
func (h *hub) notifyAll() {
	h.mu.Lock()
	ids := slices.Collect(maps.Keys(h.watchers))
	h.mu.Unlock()
	for _, id := range ids {
		h.notify(id)
	}
}

// Watchers is how many wait for a request to change.
func (s *Store) Watchers() int {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	n := 0
	for id, watchers := range s.hub.watchers {
		if id != Ledgers {
			n += len(watchers)
		}
	}
	return n
}
