package terraform

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/parts"
)

// tofu finds OpenTofu.
func tofu(t *testing.T) string {
	t.Helper()
	return parts.Find(t, "tofu", "bash .ci/run")
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = environment(t)
	told := &bytes.Buffer{}
	cmd.Stderr = told
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", strings.Join(args, " "), err, out, told)
	}
	return string(out)
}

// environment keeps the settings of whoever runs the tests out.
func environment(t *testing.T) []string {
	t.Helper()
	settings := filepath.Join(t.TempDir(), "tofurc")
	if err := os.WriteFile(settings, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return append(os.Environ(), "TF_IN_AUTOMATION=1", "CHECKPOINT_DISABLE=1", "TF_CLI_CONFIG_FILE="+settings)
}

// The real program takes the form of all modules, and plans and applies what
// needs no provider: the subject.
func TestTofu(t *testing.T) {
	program := tofu(t)
	if changed := run(t, program, "fmt", "-check", "-recursive", "-diff"); changed != "" {
		t.Errorf("tofu fmt would change:\n%s", changed)
	}
	dir := t.TempDir()
	body, err := os.ReadFile("subject/main.tf")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "main.tf"), body, 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, program, "-chdir="+dir, "init", "-backend=false", "-input=false")
	run(t, program, "-chdir="+dir, "validate")
	for _, name := range names[:3] {
		run(t, program, "-chdir="+dir, "apply", "-auto-approve", "-input=false", "-var", "repository="+name[0], "-var", "environment="+name[1])
		var out map[string]struct{ Value string }
		if err := json.Unmarshal([]byte(run(t, program, "-chdir="+dir, "output", "-json")), &out); err != nil || out["subject"].Value != subjectOf(t, name) {
			t.Errorf("%q: %+v, %v", name, out, err)
		}
	}
	for _, wrong := range [][]string{{"repository=payments", "environment=production"}, {"repository=acme/payments", "environment="}} {
		cmd := exec.CommandContext(t.Context(), program, "-chdir="+dir, "plan", "-input=false", "-var", wrong[0], "-var", wrong[1])
		cmd.Env = environment(t)
		if out, err := cmd.CombinedOutput(); err == nil {
			t.Errorf("%v was planned:\n%s", wrong, out)
		}
	}
}
