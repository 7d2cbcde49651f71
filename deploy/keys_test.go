package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/parts"
)

// kubectl stands in for a cluster: a Secret is a directory in $CLUSTER. It takes
// the commands that docs/operations.md gives, and no others.
const kubectl = `#!/usr/bin/env bash
set -euo pipefail
asked="$*"
case "$asked" in
"create secret generic gatekeeper-keys --from-file=gatekeeper-keys")
  cp -r gatekeeper-keys "$CLUSTER/gatekeeper-keys" ;;
"create secret generic gatekeeper-env --from-env-file=gatekeeper.env")
  grep -q '^SLACK_BOT_TOKEN=' gatekeeper.env ;;
"create secret generic gatekeeper-keys --from-file=gatekeeper-keys --dry-run=client -o yaml")
  tar -cf - gatekeeper-keys ;;
"apply -f -")
  tar -xf - -C "$CLUSTER" ;;
'get secret gatekeeper-keys -o go-template={{index .data "'*'" | base64decode}}')
  key="${asked#*\"}"
  cat "$CLUSTER/gatekeeper-keys/${key%%\"*}" ;;
*)
  echo "kubectl: $asked" >&2
  exit 1 ;;
esac
`

// documented are the commands of docs/operations.md after a comment with their
// name.
func documented(t *testing.T, name string) string {
	t.Helper()
	page, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)<!-- test: " + name + " -->\n```sh\n(.*?)```").FindStringSubmatch(string(page))
	if block == nil {
		t.Fatalf("docs/operations.md has no commands %s", name)
	}
	return block[1]
}

// onCluster runs commands as somebody would whose kubectl has a cluster, in a
// directory of their own.
func onCluster(t *testing.T, cluster, commands string) (string, error) {
	t.Helper()
	bash := parts.Find(t, "bash", "apt-get install bash")
	tools, here := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(tools, "kubectl"), []byte(kubectl), 0o700); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(here, "gatekeeper.env"), []byte("SLACK_BOT_TOKEN=xoxb-1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), bash, "-c", commands) //nolint:gosec // the page's own
	c.Dir = here
	c.Env = append(os.Environ(), "CLUSTER="+cluster, "PATH="+tools+":"+filepath.Dir(program(t))+":"+os.Getenv("PATH"))
	out, err := c.CombinedOutput()
	return string(out), err
}

// Keys get into a Secret, and are rotated there, by the commands that
// docs/operations.md gives.
func TestKeysInASecret(t *testing.T) {
	cluster := t.TempDir()
	if out, err := onCluster(t, cluster, documented(t, "init")); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	first := secretKeys(t, cluster)
	out, err := onCluster(t, cluster, documented(t, "rotate"))
	if err != nil || !strings.Contains(out, "published, signs from") {
		t.Fatalf("%v\n%s", err, out)
	}
	second := secretKeys(t, cluster)
	if !strings.HasPrefix(second["signing.pem"], first["signing.pem"]) || strings.Count(second["signing.pem"], "BEGIN PRIVATE KEY") != 2 {
		t.Errorf("the next key is not published:\n%s", second["signing.pem"])
	}
	for _, name := range []string{"ledger.pem", "session.key"} {
		if first[name] != second[name] || first[name] == "" {
			t.Errorf("%s is another one", name)
		}
	}
}

// A copy that is not whole does not get into the Secret.
func TestKeysAreCopiedWhole(t *testing.T) {
	cluster := t.TempDir()
	if out, err := onCluster(t, cluster, documented(t, "init")); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	before := secretKeys(t, cluster)
	if err := os.Remove(filepath.Join(cluster, "gatekeeper-keys", "ledger.pem")); err != nil {
		t.Fatal(err)
	}
	out, err := onCluster(t, cluster, documented(t, "rotate"))
	if after := secretKeys(t, cluster); err == nil || len(after) != 2 || after["signing.pem"] != before["signing.pem"] {
		t.Errorf("%v: %s", err, out)
	}
}

func secretKeys(t *testing.T, cluster string) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(cluster, "gatekeeper-keys", "*"))
	if err != nil {
		t.Fatal(err)
	}
	keys := map[string]string{}
	for _, f := range files {
		body, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		keys[filepath.Base(f)] = string(body)
	}
	return keys
}
