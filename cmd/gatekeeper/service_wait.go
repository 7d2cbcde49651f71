package main

import (
	"context"
	"encoding/json"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/store"
)

// The first and the longest pause between tries to reach the database at the
// start.
const (
	firstPause   = 250 * time.Millisecond
	longestPause = 5 * time.Second
)

// patiently takes a step of the start again while the database is away, so
// that nobody has to start us again after it. What another try would not
// mend ends the start.
func (s *service) patiently(step func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		for pause := firstPause; ; pause = min(2*pause, longestPause) {
			err := step(ctx)
			if err == nil || !store.Postgres(s.cfg.Database) || !store.Away(err) || ctx.Err() != nil {
				return err
			}
			s.log.WarnContext(ctx, "the database is away; nothing is served until it is back", "database", store.Redacted(s.cfg.Database), "again_in", pause, "error", err)
			if err := s.openAdmin(ctx); err != nil {
				return err
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(pause):
			}
		}
	}
}

// doors are the admin port's handler: one while the database is waited for,
// and the whole afterwards.
type doors struct {
	server *http.Server
	now    atomic.Pointer[http.Handler]
	failed chan error
}

// ServeHTTP implements http.Handler.
func (d *doors) ServeHTTP(w http.ResponseWriter, r *http.Request) { (*d.now.Load()).ServeHTTP(w, r) }

// openAdmin answers on the admin port that we are alive and not ready.
func (s *service) openAdmin(ctx context.Context) error {
	if s.doors != nil {
		return nil
	}
	if err := s.listenAdmin(ctx); err != nil {
		return err
	}
	s.serveAdmin(waitingHandler())
	return nil
}

// serveAdmin puts a handler before the admin port.
func (s *service) serveAdmin(h http.Handler) {
	if s.doors != nil {
		s.doors.now.Store(&h)
		return
	}
	d := &doors{failed: make(chan error, 1)}
	d.now.Store(&h)
	d.server = s.server(d)
	s.doors = d
	go func() { d.failed <- d.server.Serve(s.admin) }()
}

func waitingHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", healthy)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Retry-After", "5")
		w.WriteHeader(http.StatusServiceUnavailable)
		_ = json.NewEncoder(w).Encode(map[string]string{"storage": "out of reach", "service": "waiting for the database"})
	})
	return mux
}

func healthy(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) }
