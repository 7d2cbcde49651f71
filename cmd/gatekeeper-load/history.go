package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/ledger"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/ciissuer"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/store"
	"golang.org/x/sync/errgroup"
)

// remember puts requests that were decided long ago into the database, as
// the service itself would have stored them, with their events in the ledger.
// Through HTTP a hundred thousand would take an hour of clicks.
func (w *world) remember(ctx context.Context) error {
	if w.o.history == 0 {
		return nil
	}
	key, err := ledger.LoadKey(filepath.Join(w.dir, "ledger.pem"))
	if err != nil {
		return err
	}
	signer, err := ledger.NewSigner(ledger.SignerOptions{Origin: "127.0.0.1/ledger", Key: key})
	if err != nil {
		return err
	}
	path := w.o.database
	if path == "" {
		path = filepath.Join(w.dir, sqliteFile)
	}
	s, err := store.Open(ctx, store.Options{Path: path, Ledger: signer})
	if err != nil {
		return err
	}
	defer s.Close()
	var group errgroup.Group
	group.SetLimit(2048) // they share transactions
	for n := range w.o.history {
		group.Go(func() error { return past(ctx, s, n, w.ci.URL()) })
	}
	return group.Wait()
}

// past stores one request that somebody denied.
func past(ctx context.Context, s *store.Store, n int, issuer string) error {
	id := fmt.Sprintf("req_past%08d", n)
	claims := ciissuer.Claims(map[string]any{"run_id": fmt.Sprint(n)})
	workload := gatekeeper.Workload{
		Issuer: "github", IssuerType: "github", IssuerURL: issuer, Subject: claims["sub"].(string),
		Repository: "acme/payments", RepositoryID: "1234567", RepositoryOwner: "acme", RepositoryOwnerID: "99",
		Ref: "refs/heads/main", SHA: claims["sha"].(string), Workflow: claims["job_workflow_ref"].(string), RunID: fmt.Sprint(n), RunAttempt: "1",
		Environment: environment(n), Event: "push", Runner: "github-hosted", Actor: "alice", ActorID: "11", Claims: claims,
	}
	bob := gatekeeper.Person{Name: "Bob", Slack: "U0BOB"}
	key := gatekeeper.OpenKey{Binding: "past " + id, Repository: gatekeeper.RepositoryKey(workload)}
	_, err := s.Open(ctx, key, func(v gatekeeper.OpenView) (gatekeeper.Change, error) {
		at := v.Now.Add(-24 * time.Hour)
		r := gatekeeper.Request{
			ID: id, State: gatekeeper.Denied, Environment: environment(n), Reason: "load", Workload: workload, Binding: key.Binding,
			Rule:  gatekeeper.Rule{Name: environment(n), Notify: gatekeeper.Notify{Channel: channel(n % channels)}},
			Votes: []gatekeeper.Vote{{Person: bob, Choice: gatekeeper.Deny, At: at}}, DenyReason: "not today",
			CreatedAt: at, ExpiresAt: at.Add(time.Hour), DecidedAt: at,
		}
		c := gatekeeper.Change{Request: r}
		for i, kind := range []gatekeeper.EventType{gatekeeper.EventRequestOpened, gatekeeper.EventVoteCounted, gatekeeper.EventRequestDenied} {
			c.Events = append(c.Events, gatekeeper.Event{ID: fmt.Sprintf("evt_past%08d_%d", n, i), Type: kind, Time: at, Request: id, State: r.State,
				Data: map[string]any{"environment": r.Environment, "rule": r.Rule.Name, "workload": claims}})
		}
		return c, nil
	})
	return err
}
