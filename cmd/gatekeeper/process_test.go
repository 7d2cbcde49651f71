package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/parts"
)

// fromProfile is what AWS's SDK gets from a profile whose credential_process
// is the real binary.
func fromProfile(ctx context.Context, t testing.TB, path string, args string) (aws.Credentials, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config")
	profile := fmt.Sprintf("[profile deploy]\nregion = eu-west-1\ncredential_process = %s request --environment production --output credential-process %s\n", path, args)
	if err := os.WriteFile(file, []byte(profile), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := awsconfig.LoadDefaultConfig(ctx, awsconfig.WithSharedConfigFiles([]string{file}), awsconfig.WithSharedCredentialsFiles([]string{}), awsconfig.WithSharedConfigProfile("deploy"))
	if err != nil {
		return aws.Credentials{}, err
	}
	return cfg.Credentials.Retrieve(ctx)
}

// age makes the kept session end in a while.
func age(t testing.TB, temp string, left time.Duration) {
	t.Helper()
	files, _ := filepath.Glob(filepath.Join(temp, "gatekeeper-*.json"))
	if len(files) != 1 {
		t.Fatalf("%d sessions are kept", len(files))
	}
	info, err := os.Stat(files[0])
	body, readErr := os.ReadFile(files[0])
	var k kept
	if err != nil || readErr != nil || info.Mode().Perm() != 0o600 || json.Unmarshal(body, &k) != nil {
		t.Fatalf("%v %v, mode %v", err, readErr, info.Mode())
	}
	k.Credential.ExpiresAt = time.Now().Add(left)
	if body, err = json.Marshal(k); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(files[0], body, 0o600); err != nil {
		t.Fatal(err)
	}
}

// A long job's AWS tools run the process again and again: people are asked
// once, a session is used until shortly before its end, however many ask at
// once one redemption is spent, and the last session is used to its end.
func TestCredentialProcess(t *testing.T) {
	path := parts.Gatekeeper(t)
	p := play(t, func(s *stage) {
		s.rules(strings.Replace(stageRules, "approvers: [slack:S0RELEASE]", "{approvers: [slack:S0RELEASE], redemptions: 3}", 1))
	})
	temp := t.TempDir()
	for name, value := range p.jobEnv(nil) {
		t.Setenv(name, value)
	}
	t.Setenv("RUNNER_TEMP", temp)
	sessions := func(want int) string {
		t.Helper()
		all := p.sts.Sessions()
		if len(all) != want {
			t.Fatalf("%d sessions were issued, want %d", len(all), want)
		}
		return all[len(all)-1].AccessKeyID
	}
	first := make(chan error, 1)
	go func() { _, err := fromProfile(t.Context(), t, path, "--timeout 50s"); first <- err }()
	if err := p.decide(t.Context(), p.asked(t), "U0BOB", "approve"); err != nil {
		t.Fatal(err)
	}
	if err := <-first; err != nil {
		t.Fatal(err)
	}
	got, err := fromProfile(t.Context(), t, path, "")
	if key := sessions(1); err != nil || got.AccessKeyID != key || !got.CanExpire || time.Until(got.Expires) < 14*time.Minute {
		t.Fatalf("%v: %s until %s", err, got.AccessKeyID, got.Expires)
	}

	age(t, temp, 2*time.Minute)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if _, err := fromProfile(t.Context(), t, path, ""); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	sessions(2)

	age(t, temp, 2*time.Minute)
	if _, err := fromProfile(t.Context(), t, path, ""); err != nil {
		t.Fatal(err)
	}
	last := sessions(3)
	age(t, temp, 2*time.Minute)
	if got, err := fromProfile(t.Context(), t, path, ""); err != nil || got.AccessKeyID != last {
		t.Fatalf("the last session lives on: %v", err)
	}
	age(t, temp, -time.Minute)
	if _, err := fromProfile(t.Context(), t, path, ""); err == nil {
		t.Fatal("a session that ended was handed out")
	}
	sessions(3)
	if n := p.askedTimes(); n != 1 {
		t.Errorf("people were asked %d times", n)
	}
	p.verified(t)
}

// Without a place of the job's own nothing is kept, and a file that others
// can read is not trusted.
func TestProcessKeepsNothingElsewhere(t *testing.T) {
	env := func(m map[string]string) func(string) string { return func(n string) string { return m[n] } }
	if c := newProcessCache(env(nil), ""); c.path != "" {
		t.Errorf("kept at %s", c.path)
	}
	temp := t.TempDir()
	runner := env(map[string]string{"RUNNER_TEMP": temp, "GITHUB_RUN_ID": "1"})
	if c := newProcessCache(runner, "none"); c.path != "" {
		t.Errorf("kept at %s", c.path)
	}
	c := newProcessCache(runner, "", "url")
	if other := newProcessCache(env(map[string]string{"RUNNER_TEMP": temp, "GITHUB_RUN_ID": "2"}), "", "url"); other.path == c.path {
		t.Error("two runs share a session")
	}
	if err := c.write(kept{Request: "req_1", Credential: oneOfEach()[0]}); err != nil {
		t.Fatal(err)
	}
	if k, ok := c.read(); !ok || k.Credential.AWS.SessionToken != "canary\nsession" {
		t.Fatalf("%v %v", ok, k.Request)
	}
	if err := os.Chmod(c.path, 0o644); err != nil { //nolint:gosec // that is the point
		t.Fatal(err)
	}
	if _, ok := c.read(); ok {
		t.Error("a file that all can read was taken")
	}
	if err := os.Rename(c.path, c.path+".x"); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(c.path+".x", 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(c.path+".x", c.path); err != nil {
		t.Fatal(err)
	}
	if _, ok := c.read(); ok {
		t.Error("a link was followed")
	}
}

// While the gatekeeper is out of reach a session is used on for as long as it
// lives, and the SDK is not kept waiting.
func TestCredentialProcessWithoutGatekeeper(t *testing.T) {
	path := parts.Gatekeeper(t)
	s := newStaged(t)
	s.rules(strings.Replace(stageRules, "approval:\n      approvers: [slack:S0RELEASE]", "approval: none", 1))
	_, stop, err := s.serve(t.Context(), newSilent())
	if err != nil {
		t.Fatal(err)
	}
	temp := t.TempDir()
	for name, value := range s.jobEnv(nil) {
		t.Setenv(name, value)
	}
	t.Setenv("RUNNER_TEMP", temp)
	first, err := fromProfile(t.Context(), t, path, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	age(t, temp, 2*time.Minute)
	if got, err := fromProfile(t.Context(), t, path, "--timeout 300ms"); err != nil || got.AccessKeyID != first.AccessKeyID {
		t.Fatalf("%v", err)
	}
	age(t, temp, -time.Minute)
	if _, err := fromProfile(t.Context(), t, path, "--timeout 300ms"); err == nil {
		t.Fatal("a session that ended was handed out")
	}
}
