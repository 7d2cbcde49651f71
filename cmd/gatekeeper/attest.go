package main

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/ledger"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/ledger/attest"
	"github.com/urfave/cli/v2"
)

func attestCommand(w world) *cli.Command {
	config := &cli.StringFlag{Name: "config", Value: "gatekeeper.yaml", Usage: "configuration `FILE`"}
	return &cli.Command{
		Name: "attest", Usage: "write an approved request as an in-toto statement in a DSSE envelope", ArgsUsage: "req_…",
		Flags:  []cli.Flag{config, &cli.StringFlag{Name: "out", Usage: "write to `FILE` instead of standard output"}},
		Action: withLedger(w, attestRequest),
		Subcommands: []*cli.Command{{
			Name: "verify", Usage: "verify an envelope with the ledger's public key alone, and demand what it has to attest", ArgsUsage: "FILE",
			Flags: []cli.Flag{
				&cli.StringFlag{Name: "key", Required: true, Usage: "the ledger's public `KEY`, as `audit key` prints it in either format, or a file with it"},
				&cli.StringFlag{Name: "commit", Usage: "the commit that has to be approved"},
				&cli.StringFlag{Name: "repository", Usage: "its repository, e.g. acme/payments"},
				&cli.StringFlag{Name: "environment", Usage: "the environment that it has to be approved for"},
				&cli.StringFlag{Name: "artifact", Usage: "what the approved job has to have deployed, NAME@sha256:…"},
				&cli.IntFlag{Name: "approvers", Usage: "how many people have to have approved, at least"},
				&cli.BoolFlag{Name: "no-break-glass", Usage: "take no approval that was given in an emergency"},
			},
			Action: func(c *cli.Context) error { return verifyAttestation(w, c) },
		}},
	}
}

func attestRequest(w world, c *cli.Context, b books) error {
	id := c.Args().First()
	if id == "" || c.Args().Len() != 1 {
		return cli.Exit("attest takes a request, req_…", exitUsage)
	}
	r, err := b.Get(c.Context, id)
	if err != nil {
		return cli.Exit(said(err), exitFailed)
	}
	key, err := ledger.LoadKey(b.cfg.LedgerKey)
	if err != nil {
		return cli.Exit(said(err), exitFailed)
	}
	envelope, err := attested(c.Context, b, r, b.cfg.URL, key, nil)
	if err != nil {
		return cli.Exit(said(err), exitFailed)
	}
	return writeOut(w, c.String("out"), append(envelope, '\n'))
}

// attested is the envelope of an approved request.
func attested(ctx context.Context, src ledger.Proofs, r gatekeeper.Request, url string, key ed25519.PrivateKey, artifacts []attest.Artifact) ([]byte, error) {
	if err := attest.Refusal(r); err != nil {
		return nil, err
	}
	approved, err := ledger.ProveEvent(ctx, src, r.ID, gatekeeper.EventRequestApproved)
	if err != nil {
		return nil, err
	}
	s, err := attest.StatementOf(url, r, approved, artifacts...)
	if err != nil {
		return nil, err
	}
	return attest.Sign(ctx, s, key)
}

// attest serves the API. What the job says that it deploys is recorded before
// it is signed, and only while the approval may be redeemed. The key is read
// anew: it may have been rotated.
func (k *keeper) attest(ctx context.Context, r gatekeeper.Request, names []string) ([]byte, error) {
	artifacts, err := attest.Artifacts(names)
	if err != nil {
		return nil, err
	}
	if len(artifacts) > 0 {
		if err := k.recordArtifacts(ctx, r, names); err != nil {
			return nil, err
		}
	}
	key, err := ledger.LoadKey(k.cfg.LedgerKey)
	if err != nil {
		return nil, err
	}
	return attested(ctx, books{Reader: k.store.Reader()}, r, k.cfg.URL, key, artifacts)
}

// maxAttested bounds how often one job grows the ledger by asking.
const maxAttested = 16

func (k *keeper) recordArtifacts(ctx context.Context, r gatekeeper.Request, names []string) error {
	times, before, err := k.attestedBefore(ctx, r.ID, names)
	if err != nil {
		return err
	}
	if times >= maxAttested && !before {
		return gatekeeper.Errorf(gatekeeper.CodeExpired, "the job had artifacts attested %d times already; name all of them at once", times)
	}
	_, err = k.store.Update(ctx, r.ID, func(old gatekeeper.Request, at time.Time) (gatekeeper.Change, error) {
		if err := attest.Refusal(old); err != nil {
			return gatekeeper.Change{}, err
		}
		if old.Lapsed(at) {
			return gatekeeper.Change{}, gatekeeper.Errorf(gatekeeper.CodeExpired, "the approval could be used until %s; open a new request", old.RedeemBefore.UTC().Format(time.RFC3339))
		}
		if before {
			return gatekeeper.Change{}, nil // asked again, e.g. after an answer was lost
		}
		w := old.Workload
		return gatekeeper.Change{Events: []gatekeeper.Event{{
			ID: newEventID(), Type: gatekeeper.EventRequestAttested, Time: at.UTC(), Request: old.ID, State: old.State,
			Actor: gatekeeper.Actor{Kind: "workload", ID: w.Subject, Name: w.Repository}, Data: map[string]any{"artifacts": names},
		}}}, nil
	})
	return err
}

// attestedBefore counts what was attested for a request, and says whether the
// same artifacts were.
func (k *keeper) attestedBefore(ctx context.Context, id string, names []string) (times int, same bool, err error) {
	err = books{Reader: k.store.Reader()}.OfRequest(ctx, id, func(l ledger.Leaf) error {
		if l.Type != string(gatekeeper.EventRequestAttested) || l.Pruned() {
			return nil
		}
		var e struct{ Data struct{ Artifacts []string } }
		times++
		err := json.Unmarshal(l.Body, &e)
		same = same || slices.Equal(e.Data.Artifacts, names)
		return err
	})
	return times, same, err
}

func verifyAttestation(w world, c *cli.Context) error {
	if c.Args().Len() != 1 {
		return cli.Exit("attest verify takes one file, or - for standard input", exitUsage)
	}
	body, err := readIn(w, c.Args().First())
	if err != nil {
		return cli.Exit(err.Error(), exitUsage)
	}
	s, err := attest.Verify(c.Context, body, verifierKey(c.String("key")))
	if err != nil {
		return cli.Exit("the attestation does not hold: "+said(err), exitFailed)
	}
	if err := s.Meets(attest.Want{
		Commit: c.String("commit"), Repository: c.String("repository"), Environment: c.String("environment"),
		Artifact: c.String("artifact"), Approvers: c.Int("approvers"), NoBreakGlass: c.Bool("no-break-glass"),
	}); err != nil {
		return cli.Exit(said(err), exitFailed)
	}
	a := s.Predicate
	var people []string
	for _, p := range a.Approvers {
		people = append(people, oneLine(p.Name+" ("+p.ID+")"))
	}
	if len(people) == 0 {
		people = []string{"the rule itself"}
	}
	fmt.Fprintf(w.stdout, "verified: %s at %s is approved for %s\n  by %s, under rule %s, at %s\n  request %s, event %d of the ledger\n",
		oneLine(a.Workload.Repository), oneLine(a.Workload.Commit), oneLine(a.Environment), strings.Join(people, ", "), oneLine(a.Rule.Name),
		a.ApprovedAt.UTC().Format(time.RFC3339), oneLine(a.Request), a.Ledger.Index)
	return nil
}

func readIn(w world, path string) ([]byte, error) {
	if path == "-" {
		return io.ReadAll(io.LimitReader(w.stdin, 1<<20+1))
	}
	return os.ReadFile(path)
}
