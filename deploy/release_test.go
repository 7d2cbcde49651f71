package deploy

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/parts"
	"github.com/goccy/go-yaml"
)

// bill is a CycloneDX bill of materials, as far as it is held to something.
type bill struct {
	Components []component
}

type component struct {
	Name, Version string
	Evidence      struct {
		Licenses []struct{ License struct{ ID, Name string } }
	}
}

// taken are the licences that a library may have.
var taken = regexp.MustCompile(`^(Apache-2\.0|MIT|ISC|BSD-(2-Clause|3-Clause|Source-Code))$`)

// read are the libraries whose licence people read, since it stands in no
// form that is recognised: BSD-3-Clause, and MIT with two holders.
var read = []string{"std", "github.com/pressly/goose/v3"}

// What the release workflow runs makes binaries that say their version, whose
// parts are all named and may be used, and checksums over all of it.
func TestRelease(t *testing.T) {
	bash := parts.Find(t, "bash", "apt-get install bash")
	parts.Find(t, "cyclonedx-gomod", "go install github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0")
	if runtime.GOOS != "linux" {
		t.Skip("releases are built on Linux")
	}
	dist, target := t.TempDir(), runtime.GOOS+"/"+runtime.GOARCH
	t.Setenv("TARGETS", target)
	run(t, bash, "../.ci/release", "v1.2.3", dist)
	t.Chdir(dist)
	name := "gatekeeper_" + strings.Replace(target, "/", "_", 1)
	if got := run(t, "./"+name, "--version"); got != "gatekeeper version v1.2.3\n" {
		t.Errorf("it says %q", got)
	}
	if got := run(t, "sha256sum", "--check", "--strict", "checksums.txt"); got != "gatekeeper_chart.tgz: OK\ngatekeeper_kubernetes.yaml: OK\n"+name+": OK\n"+name+".cdx.json: OK\n" {
		t.Errorf("checked %q", got)
	}
	holds(t, name)
}

// holds holds the bill of materials to what the binary itself says.
func holds(t *testing.T, name string) {
	t.Helper()
	body, err := os.ReadFile(name + ".cdx.json")
	if err != nil {
		t.Fatal(err)
	}
	var b bill
	if err := json.Unmarshal(body, &b); err != nil {
		t.Fatal(err)
	}
	for _, c := range b.Components {
		if len(c.Evidence.Licenses) == 0 && !slices.Contains(read, c.Name) {
			t.Errorf("%s has no licence", c.Name)
		}
		for _, l := range c.Evidence.Licenses {
			if !taken.MatchString(l.License.ID) {
				t.Errorf("%s is under %s%s", c.Name, l.License.ID, l.License.Name)
			}
		}
	}
	linked := regexp.MustCompile(`(?m)^\tdep\t(\S+)\t(\S+)`).FindAllStringSubmatch(run(t, "go", "version", "-m", name), -1)
	if len(linked) < 20 {
		t.Fatalf("%d modules in the binary", len(linked))
	}
	for _, m := range linked {
		if !slices.ContainsFunc(b.Components, func(c component) bool { return c.Name == m[1] && c.Version == m[2] }) {
			t.Errorf("%s %s is in the binary and not in its bill", m[1], m[2])
		}
	}
}

func TestReleaseWantsAVersion(t *testing.T) {
	bash := parts.Find(t, "bash", "apt-get install bash")
	for _, version := range []string{"", "latest", "1.2.3", "v1.2.3/../x", "v1.2.3 -X main.version=v9"} {
		if out, err := runs(t, bash, "../.ci/release", version, t.TempDir()); err == nil || !strings.Contains(out, "is no version") {
			t.Errorf("%q: %v\n%s", version, err, out)
		}
	}
}

// The chart and the manifests of a release name its image; nothing is left to
// fill in, and no image is called dev.
func TestReleaseNamesItsImage(t *testing.T) {
	bash, helm := parts.Find(t, "bash", "apt-get install bash"), parts.Find(t, "helm", helmInstall)
	if runtime.GOOS != "linux" {
		t.Skip("releases are built on Linux")
	}
	dist, again := t.TempDir(), t.TempDir()
	run(t, bash, "../.ci/chart", "v1.2.3-rc.1", dist)
	run(t, bash, "../.ci/chart", "v1.2.3-rc.1", again)
	chart := filepath.Join(dist, "gatekeeper_chart.tgz")
	manifests := run(t, "cat", filepath.Join(dist, "gatekeeper_kubernetes.yaml"))
	run(t, "cmp", chart, filepath.Join(again, "gatekeeper_chart.tgz"))
	run(t, helm, "lint", "--strict", kube, chart)
	if got := run(t, helm, "template", "gatekeeper", chart, kube); got != manifests {
		t.Error("the release's manifests are not its chart's")
	}
	if image := "image: ghcr.io/gatekeeper-ci/gatekeeper:v1.2.3-rc.1\n"; !strings.Contains(manifests, image) || strings.Contains(manifests, "VERSION") {
		t.Errorf("it is another image:\n%s", manifests)
	}
	if body, err := os.ReadFile("../.ci/release"); err != nil || !strings.Contains(string(body), `bash .ci/chart "$version" "$dist"`) {
		t.Errorf("a release has no chart: %v", err)
	}
}

// workflow is one of .github/workflows.
type workflow struct {
	Permissions map[string]string
	Jobs        map[string]struct {
		Permissions map[string]string
		Steps       []struct {
			Uses string
			Run  string
			With map[string]any
		}
	}
}

// Actions of others are what was read once, tokens can do what their job
// needs, and the job that signs or publishes compiles nothing.
func TestWorkflows(t *testing.T) {
	paths, err := filepath.Glob("../.github/workflows/*.yml")
	if err != nil || len(paths) < 2 {
		t.Fatal(paths, err)
	}
	for _, path := range paths {
		body, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Split(string(body), "\n") {
			if strings.Contains(line, "uses:") && !regexp.MustCompile(`uses: [\w.-]+/[\w.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$`).MatchString(line) {
				t.Errorf("%s: not by commit with its version: %s", path, line)
			}
		}
		var w workflow
		if err := yaml.Unmarshal(body, &w); err != nil {
			t.Fatal(path, err)
		}
		for scope, access := range w.Permissions {
			if access != "read" {
				t.Errorf("%s: every job may %s: %s", path, scope, access)
			}
		}
		for name, job := range w.Jobs {
			for _, step := range job.Steps {
				if strings.Contains(step.Run, "${{") {
					t.Errorf("%s: %s: an expression in a script", path, name)
				}
				if strings.HasPrefix(step.Uses, "actions/checkout@") && (step.With["persist-credentials"] != false || job.Permissions["id-token"] != "" || job.Permissions["contents"] == "write") {
					t.Errorf("%s: %s: a job that holds a token has the tree", path, name)
				}
			}
		}
	}
}

// The image's base is one, whatever a tag says later.
func TestImageIsPinned(t *testing.T) {
	body, err := os.ReadFile("../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	from := regexp.MustCompile(`(?m)^FROM .*$`).FindAllString(string(body), -1)
	for _, line := range from {
		if line != "FROM scratch" && !regexp.MustCompile(` \S+@sha256:[0-9a-f]{64} AS \w+$`).MatchString(line) {
			t.Errorf("not by digest: %s", line)
		}
	}
	if len(from) != 2 || !strings.Contains(string(body), "bash .ci/build ") {
		t.Error("the image does not hold the release's binary")
	}
}

// A binary that comes out differently elsewhere is refused. The compiler is a
// stand-in; the real one is CI's last step.
func TestReproduce(t *testing.T) {
	bash := parts.Find(t, "bash", "apt-get install bash")
	parts.Find(t, "git", "apt-get install git")
	if runtime.GOOS != "linux" {
		t.Skip("releases are built on Linux")
	}
	dir := t.TempDir()
	compiler := "#!/bin/sh\nwhile [ \"$1\" != -o ]; do shift; done\n[ -f go.mod ] && [ -z \"$(ls -A \"$GOCACHE\")\" ] && printf the-binary >\"$2\"\npwd >>" + filepath.Join(dir, "built") + "\n"
	if err := os.WriteFile(filepath.Join(dir, "go"), []byte(compiler), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	for body, want := range map[string]string{"the-binary": "gatekeeper_linux_amd64: OK", "another-binary": "is another one than the release's"} {
		sums := filepath.Join(dir, "checksums.txt")
		if err := os.WriteFile(sums, fmt.Appendf(nil, "%x  gatekeeper_linux_amd64\n", sha256.Sum256([]byte(body))), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := runs(t, bash, "../.ci/reproduce", "v1.2.3", "linux/amd64", sums)
		if (err == nil) != (body == "the-binary") || !strings.Contains(out, want) {
			t.Errorf("%s: %v\n%s", body, err, out)
		}
	}
	here, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	if built, err := os.ReadFile(filepath.Join(dir, "built")); err != nil || len(built) == 0 || strings.Contains(string(built), here+"\n") {
		t.Errorf("it was built in %s, %v", built, err)
	}
}
