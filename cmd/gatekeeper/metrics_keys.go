package main

import (
	"context"
	"os"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/store"
)

// lookedUp is a gauge's value that has to be looked up: within a second, and -1
// where that fails.
func lookedUp(look func(context.Context) (float64, error)) func() float64 {
	return func() float64 {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		value, err := look(ctx)
		if err != nil {
			return -1
		}
		return value
	}
}

// ages tells how long each key has been in use.
func ages(gauge func(name, help string, value func() float64), s *service) {
	age := func(name, help string, since func(context.Context) (time.Time, error)) {
		gauge(name, help, lookedUp(func(ctx context.Context) (float64, error) {
			began, err := since(ctx)
			return time.Since(began).Seconds(), err
		}))
	}
	age("gatekeeper_signing_key_age_seconds", "How long the key that signs tokens for clouds has been signing.", s.signsSince)
	age("gatekeeper_ledger_key_age_seconds", "How long the key that signs the ledger has been signing it.", s.keeper.signsSince)
}

func (s *service) signsSince(ctx context.Context) (time.Time, error) {
	since, err := s.issuer.SignsSince(ctx)
	if err != nil || !since.IsZero() {
		return since, err
	}
	info, err := os.Stat(s.cfg.SigningKey) // the first key: as old as its file
	if err != nil {
		return time.Time{}, err
	}
	return info.ModTime(), nil
}

// signsSince is when the ledger's key was rotated to, and when the ledger
// began where it never was. A ledger without events has a key of no age.
func (k *keeper) signsSince(ctx context.Context) (time.Time, error) {
	since := time.Now()
	look := func(l store.Leaf) error { since = l.Time; return nil }
	if err := k.store.Reader().Page(ctx, 0, 1, look); err != nil {
		return since, err
	}
	return since, k.store.Reader().OfType(ctx, gatekeeper.EventKeyRotated, look)
}
