package ledger

import (
	"errors"
	"iter"
)

// beside reads pairs of the store one by one, beside another reading.
type beside[K, V any] struct {
	next   func() (K, V, bool)
	stop   func()
	peeked bool
	k      K
	v      V
	ok     bool
	err    error
}

func readBeside[K, V any](read func(func(K, V) error) error) *beside[K, V] {
	b := &beside[K, V]{}
	b.next, b.stop = iter.Pull2(func(yield func(K, V) bool) {
		err := read(func(k K, v V) error {
			if !yield(k, v) {
				return errEnough
			}
			return nil
		})
		if !errors.Is(err, errEnough) {
			b.err = err
		}
	})
	return b
}

func (b *beside[K, V]) peek() (K, V, bool) {
	if !b.peeked {
		b.k, b.v, b.ok = b.next()
		b.peeked = true
	}
	return b.k, b.v, b.ok
}

func (b *beside[K, V]) drop() { b.peeked = false }

func (b *beside[K, V]) take() (K, V, bool) {
	k, v, ok := b.peek()
	b.drop()
	return k, v, ok
}
