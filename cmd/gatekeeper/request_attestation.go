package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/api"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/ledger/attest"
	"github.com/urfave/cli/v2"
)

// attestTime bounds how long a step that has its credentials waits for the
// attestation.
const attestTime = 30 * time.Second

// attest writes the attestation where it was asked for; inside GitHub Actions
// also unasked, into the runner's temporary directory. Only who asked for it
// fails without it: the deployment is approved all the same.
func (s *step) attest(ctx context.Context, r api.Request) error {
	path, asked := s.attestation, s.attestation != "" || len(s.artifacts) > 0
	if temp := s.w.env("RUNNER_TEMP"); path == "" && s.deliver.gh != nil && temp != "" {
		path = filepath.Join(temp, "gatekeeper-"+filepath.Base(r.ID)+".intoto.json")
	}
	if path == "" {
		return nil
	}
	err := s.fetchAttestation(ctx, r.ID, path)
	switch {
	case err == nil && s.deliver.gh != nil:
		err = s.deliver.gh.setOutput("attestation", path)
	case err != nil && !asked && gatekeeper.CodeOf(err) == gatekeeper.CodeNotFound:
		return nil // an older gatekeeper
	}
	if err != nil && asked {
		return cli.Exit("the attestation could not be had: "+said(err), exitFailed)
	}
	if err != nil {
		fmt.Fprintln(s.deliver.log, "The attestation could not be had:", oneLine(said(err)))
	}
	return nil
}

// checkArtifacts finds before anybody is asked what would fail afterwards.
func (s *step) checkArtifacts() error {
	if _, err := attest.Artifacts(s.artifacts); err != nil {
		return errors.New(said(err))
	}
	byDefault := s.deliver.gh != nil && s.w.env("RUNNER_TEMP") != ""
	if len(s.artifacts) > 0 && s.attestation == "" && !byDefault {
		return errors.New("--artifacts needs --attestation: a file for the attestation of them")
	}
	return nil
}

func (s *step) fetchAttestation(ctx context.Context, id, path string) error {
	ctx, cancel := context.WithTimeout(ctx, attestTime)
	defer cancel()
	envelope, err := s.client.Attestation(ctx, id, s.artifacts...)
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(envelope, '\n'), 0o644) //nolint:gosec // it is made to be shown
}
