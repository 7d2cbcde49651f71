package main

import (
	"bytes"
	"path/filepath"
	"sync"
	"testing"
)

// Processes that start at once on one new key all go by the one that is kept.
func TestSessionKeyIsMadeOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "session.key")
	got := make([][]byte, 8)
	var all sync.WaitGroup
	for i := range got {
		all.Go(func() {
			secret, err := loadOrCreateSecret(path)
			if err != nil {
				t.Error(err)
			}
			got[i] = secret
		})
	}
	all.Wait()
	kept, err := loadOrCreateSecret(path)
	if err != nil || len(kept) != 32 {
		t.Fatalf("%d bytes are kept, %v", len(kept), err)
	}
	for i := range got {
		if !bytes.Equal(got[i], kept) {
			t.Errorf("process %d has a key of its own", i)
		}
	}
}
