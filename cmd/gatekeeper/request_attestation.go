package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/api"
	"github.com/urfave/cli/v2"
)

// attestTime bounds how long a step that has its credentials waits for the
// attestation.
const attestTime = 30 * time.Second

// attest writes the attestation where it was asked for; inside GitHub Actions
// also unasked, into the runner's temporary directory. Only who asked for it
// fails without it: the deployment is approved all the same.
func (s *step) attest(ctx context.Context, r api.Request) error {
	path, asked := s.attestation, s.attestation != ""
	if temp := s.w.env("RUNNER_TEMP"); !asked && s.deliver.gh != nil && temp != "" {
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

func (s *step) fetchAttestation(ctx context.Context, id, path string) error {
	ctx, cancel := context.WithTimeout(ctx, attestTime)
	defer cancel()
	envelope, err := s.client.Attestation(ctx, id)
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(envelope, '\n'), 0o644) //nolint:gosec // it is made to be shown
}
