package ledger

import (
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// edge keeps the hashes that later ones are made of: the tree's right edge.
type edge struct{ hashes map[int64]tlog.Hash }

func (e *edge) put(index int64, hash tlog.Hash) {
	if e.hashes == nil {
		e.hashes = map[int64]tlog.Hash{}
	}
	e.hashes[index] = hash
	// A completed node stands for its two children from now on.
	if level, n := tlog.SplitStoredHashIndex(index); level > 0 {
		delete(e.hashes, tlog.StoredHashIndex(level-1, 2*n))
		delete(e.hashes, tlog.StoredHashIndex(level-1, 2*n+1))
	}
}

// ReadHashes implements tlog.HashReader.
func (e *edge) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		hash, ok := e.hashes[index]
		if !ok {
			return nil, fmt.Errorf("ledger: hash %d is not on the right edge", index)
		}
		out[i] = hash
	}
	return out, nil
}
