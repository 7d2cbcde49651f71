// Package deploy holds what operators start from; its tests hold these files
// to the programs that read them.
package deploy

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/parts"
)

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := runs(t, name, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", filepath.Base(name), strings.Join(args, " "), err, out)
	}
	return out
}

func runs(t *testing.T, name string, args ...string) (string, error) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
	return string(out), err
}

const (
	helmInstall = "go install helm.sh/helm/v3/cmd/helm@v3.22.0"
	kube        = "--kube-version=1.31.0"
)

// The plain manifests are the chart's, so that there is one source. Their head
// says what to put into them.
func TestChart(t *testing.T) {
	helm := parts.Find(t, "helm", helmInstall)
	run(t, helm, "lint", "--strict", kube, "--set", "image.tag=v1.2.3", "helm/gatekeeper")
	body, err := os.ReadFile("kubernetes/gatekeeper.yaml")
	if err != nil {
		t.Fatal(err)
	}
	head, want, _ := strings.Cut(string(body), "---\n")
	if got := run(t, helm, "template", "gatekeeper", "helm/gatekeeper", kube, "--set", "image.tag=VERSION"); got != "---\n"+want {
		t.Error("deploy/kubernetes/gatekeeper.yaml is not the chart's; in deploy/: (sed /^---/Q kubernetes/gatekeeper.yaml; helm template gatekeeper helm/gatekeeper " +
			kube + " --set image.tag=VERSION) > new && mv new kubernetes/gatekeeper.yaml")
	}
	if !strings.Contains(head, "s/VERSION/v1.2.3/") {
		t.Error("the manifests do not say where the version goes")
	}
	all := run(t, helm, "template", "g", "helm/gatekeeper", kube, "--set", "image.tag=v1.2.3,replicas=1,config.database=sqlite:/data/g.db,persistence.enabled=true,monitor.enabled=true,networkPolicy.enabled=false,ingress.enabled=true")
	for _, kind := range []string{"StatefulSet", "ServiceMonitor", "Ingress", "volumeClaimTemplates"} {
		if !strings.Contains(all, kind) {
			t.Errorf("on SQLite there is no %s", kind)
		}
	}
}

// What could not work is refused before anything is installed, and the refusal
// says what to set.
func TestChartRefuses(t *testing.T) {
	helm := parts.Find(t, "helm", helmInstall)
	for set, want := range map[string]string{
		"replicas=2": "set image.tag to a release", // no image is called after the tree
		"image.tag=v1.2.3,config.database=sqlite:/data/g.db": "SQLite serves one replica",
		"image.tag=v1.2.3,monitor.enabled=true":              "networkPolicy.metricsFrom",
	} {
		if out, err := runs(t, helm, "template", "g", "helm/gatekeeper", kube, "--set", set); err == nil || !strings.Contains(out, want) {
			t.Errorf("%s: %v\n%s", set, err, out)
		}
	}
	out := run(t, helm, "template", "g", "helm/gatekeeper", kube, "--set", "image.digest=sha256:0123456789abcdef")
	if !strings.Contains(out, "image: ghcr.io/gatekeeper-ci/gatekeeper@sha256:0123456789abcdef\n") {
		t.Error("a digest alone is not taken")
	}
}

// Whatever a release is called, its job in Prometheus is the one that alerts and
// the dashboard ask for, and whoever scrapes is let in.
func TestMonitorIsTheAlertsJob(t *testing.T) {
	helm := parts.Find(t, "helm", helmInstall)
	all := objects(t, run(t, helm, "template", "gk", "helm/gatekeeper", kube, "--set", "image.tag=v1.2.3,monitor.enabled=true,networkPolicy.metricsFrom[0].podSelector.matchLabels.app=prometheus"))
	label := one(t, all, "ServiceMonitor", "gk").Spec.JobLabel
	if job := one(t, all, "Service", "gk").Metadata.Labels[label]; job != "gatekeeper" {
		t.Errorf("the job is %q", job)
	}
	alerts, err := os.ReadFile("prometheus/alerts.yaml")
	if err != nil || !strings.Contains(string(alerts), `job="gatekeeper"`) {
		t.Errorf("alerts ask for another job: %v", err)
	}
}

// A container that a stranger broke into can write nothing, be nobody, and
// gain nothing.
func TestPodsAreHardened(t *testing.T) {
	body, err := os.ReadFile("kubernetes/gatekeeper.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"runAsNonRoot: true", "readOnlyRootFilesystem: true", "allowPrivilegeEscalation: false", "drop: [ALL]",
		"seccompProfile: {type: RuntimeDefault}", "automountServiceAccountToken: false", "kind: NetworkPolicy", "kind: PodDisruptionBudget", "path: /readyz", "path: /healthz"} {
		if !strings.Contains(string(body), want) {
			t.Errorf("the manifests lack %s", want)
		}
	}
}

func TestAlerts(t *testing.T) {
	promtool := parts.Find(t, "promtool", "apt-get install prometheus")
	run(t, promtool, "check", "rules", "prometheus/alerts.yaml")
	run(t, promtool, "test", "rules", "prometheus/alerts_test.yaml")
}

var metric = regexp.MustCompile(`gatekeeper_[a-z_]+`)

// Every metric that an alert or a panel asks for is one that the code names,
// and every runbook is there.
func TestMetricsExist(t *testing.T) {
	known := ""
	files, _ := filepath.Glob("../cmd/gatekeeper/*.go")
	for _, f := range files {
		body, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		known += string(body)
	}
	operations, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"prometheus/alerts.yaml", "grafana/dashboard.json"} {
		body, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range metric.FindAllString(string(body), -1) {
			base := strings.TrimSuffix(strings.TrimSuffix(name, "_count"), "_bucket")
			if !strings.Contains(known, `"`+base+`"`) {
				t.Errorf("%s asks for %s, which nobody tells", file, name)
			}
		}
		for _, at := range regexp.MustCompile(`docs/operations\.md#([a-z-]+)`).FindAllStringSubmatch(string(body), -1) {
			heading := strings.ReplaceAll(at[1], "-", " ")
			if !strings.Contains(strings.ToLower(string(operations)), "# "+heading+"\n") {
				t.Errorf("%s leads to %s, which is not there", file, at[0])
			}
		}
	}
}

// The other files are read by their programs elsewhere; here they have to be
// what they say they are.
func TestFiles(t *testing.T) {
	body, err := os.ReadFile("grafana/dashboard.json")
	if err != nil || !json.Valid(body) {
		t.Errorf("the dashboard: %v", err)
	}
	if _, c := compose(t); len(c.Services) != 3 {
		t.Errorf("compose.yaml: %v", c)
	}
}

func TestUnit(t *testing.T) {
	analyze := parts.Find(t, "systemd-analyze", "apt-get install systemd")
	body, err := os.ReadFile("systemd/gatekeeper.service")
	if err != nil {
		t.Fatal(err)
	}
	// The program it starts is not installed here; another one stands in.
	unit := filepath.Join(t.TempDir(), "gatekeeper.service")
	text := strings.ReplaceAll(string(body), "/usr/local/bin/gatekeeper", "/bin/true")
	if err := os.WriteFile(unit, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := run(t, analyze, "verify", "--man=no", unit); strings.Contains(out, "gatekeeper.service:") {
		t.Errorf("systemd-analyze verify:\n%s", out)
	}
}
