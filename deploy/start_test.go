package deploy

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/parts"
	"github.com/goccy/go-yaml"
)

// object is what is looked at of a Kubernetes object.
type object struct {
	Kind     string
	Metadata struct {
		Name   string
		Labels map[string]string
	}
	Data map[string]string
	Spec struct {
		JobLabel string `yaml:"jobLabel"`
		Template struct {
			Spec struct {
				Containers []struct {
					Image        string
					VolumeMounts []struct {
						Name      string
						MountPath string `yaml:"mountPath"`
						ReadOnly  bool   `yaml:"readOnly"`
					} `yaml:"volumeMounts"`
				}
				Volumes []volume
			}
		}
		VolumeClaimTemplates []struct {
			Metadata struct{ Name string }
		} `yaml:"volumeClaimTemplates"`
	}
}

type volume struct {
	Name      string
	ConfigMap struct{ Name string } `yaml:"configMap"`
	Secret    struct {
		SecretName string `yaml:"secretName"`
	}
}

func objects(t *testing.T, manifests string) []object {
	t.Helper()
	var all []object
	for _, one := range regexp.MustCompile(`(?m)^---$`).Split(manifests, -1) {
		var o object
		if err := yaml.Unmarshal([]byte(one), &o); err != nil {
			t.Fatalf("%v in\n%s", err, one)
		}
		if o.Kind != "" {
			all = append(all, o)
		}
	}
	return all
}

func one(t *testing.T, all []object, kind, name string) object {
	t.Helper()
	for _, o := range all {
		if o.Kind == kind && (name == "" || o.Metadata.Name == name) {
			return o
		}
	}
	t.Fatalf("there is no %s %s", kind, name)
	return object{}
}

// podStarts starts the gatekeeper as the manifests' pod would.
func podStarts(t *testing.T, manifests, workload string) {
	t.Helper()
	all, here := objects(t, manifests), place{}
	spec := one(t, all, workload, "").Spec
	volumes := map[string]volume{}
	for _, v := range spec.Template.Spec.Volumes {
		volumes[v.Name] = v
	}
	for _, v := range spec.VolumeClaimTemplates {
		volumes[v.Metadata.Name] = volume{Name: v.Metadata.Name}
	}
	for _, m := range spec.Template.Spec.Containers[0].VolumeMounts {
		v, ok := volumes[m.Name]
		if !ok {
			t.Errorf("%s is mounted, and is no volume", m.Name)
		}
		var files map[string]string
		if name := v.ConfigMap.Name; name != "" {
			files = one(t, all, "ConfigMap", name).Data
		}
		here.mounted(t, m.MountPath, !m.ReadOnly, files)
	}
	here.starts(t, one(t, all, "ConfigMap", one(t, all, workload, "").Metadata.Name+"-config").Data["gatekeeper.yaml"])
}

func TestKubernetesStarts(t *testing.T) {
	body, err := os.ReadFile("kubernetes/gatekeeper.yaml")
	if err != nil {
		t.Fatal(err)
	}
	podStarts(t, string(body), "Deployment")
}

// The chart starts as documented: with nothing but a version, and on SQLite by
// the values beside it, which want no Secret with keys.
func TestChartStarts(t *testing.T) {
	helm := parts.Find(t, "helm", helmInstall)
	rendered := func(more ...string) string {
		return run(t, helm, append([]string{"template", "g", "helm/gatekeeper", kube, "--set", "image.tag=v1.2.3"}, more...)...)
	}
	t.Run("defaults", func(t *testing.T) { podStarts(t, rendered(), "Deployment") })
	t.Run("own rules", func(t *testing.T) {
		podStarts(t, rendered("--set-file", `rules.payments\.yaml=../deploy/compose/rules/none.yaml`), "Deployment")
	})
	t.Run("SQLite", func(t *testing.T) {
		manifests := rendered("--values", "helm/gatekeeper/values-sqlite.yaml")
		if strings.Contains(manifests, "gatekeeper-keys") || !strings.Contains(manifests, "volumeClaimTemplates") {
			t.Error("it hangs for a Secret that nobody makes, or keeps nothing")
		}
		podStarts(t, manifests, "StatefulSet")
	})
}

// What compose.yaml wants is in its head, and what it writes it may write.
func TestComposeStarts(t *testing.T) {
	text, c := compose(t)
	head, rest, _ := strings.Cut(text, "\nservices:")
	wanted := regexp.MustCompile(`\$\{([A-Z_]+):\?`).FindAllStringSubmatch(rest, -1)
	for _, name := range wanted {
		if !regexp.MustCompile(`(?m)^#   ` + name[1] + `\b`).MatchString(head) {
			t.Errorf("the head does not name %s", name[1])
		}
	}
	image, err := os.ReadFile("../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	here := place{}
	for _, v := range c.Services["gatekeeper"].Volumes {
		from, at, _ := strings.Cut(v, ":")
		at, readOnly := strings.CutSuffix(at, ":ro")
		if filepath.Ext(at) == ".yaml" {
			at = filepath.Dir(at)
		}
		here.mounted(t, at, !readOnly, nil)
		if at == "/rules" {
			beside, err := filepath.Abs(from)
			if err != nil {
				t.Fatal(err)
			}
			here[at] = mount{dir: beside}
		}
		// A fresh volume is root's unless the image says otherwise.
		if owned := "--chown=65532:65532 /out" + at + " " + at + "\n"; !readOnly && !strings.Contains(string(image), owned) {
			t.Errorf("the image has no %s that its user may write", at)
		}
	}
	body, err := os.ReadFile("compose/gatekeeper.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range regexp.MustCompile(`\$\{([A-Z_]+)\}`).FindAllStringSubmatch(string(body), -1) {
		if c.Services["gatekeeper"].Environment[name[1]] == "" {
			t.Errorf("gatekeeper.yaml wants %s, which the container has not", name[1])
		}
	}
	here.starts(t, string(body))
}

// composeFile is what is looked at of compose.yaml.
type composeFile struct {
	Services map[string]struct {
		Volumes     []string
		Environment map[string]string
	}
}

func compose(t *testing.T) (string, composeFile) {
	t.Helper()
	body, err := os.ReadFile("compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var c composeFile
	if err := yaml.Unmarshal(body, &c); err != nil {
		t.Fatal(err)
	}
	return string(body), c
}

// All that the unit's gatekeeper.yaml has written lies in its state directory.
func TestUnitStarts(t *testing.T) {
	unit, err := os.ReadFile("systemd/gatekeeper.service")
	if err != nil {
		t.Fatal(err)
	}
	state := regexp.MustCompile(`(?m)^StateDirectory=(\w+)$`).FindStringSubmatch(string(unit))
	if state == nil || !strings.Contains(string(unit), "\nProtectSystem=strict\n") {
		t.Fatal("it may write somewhere else")
	}
	body, err := os.ReadFile("systemd/gatekeeper.yaml")
	if err != nil {
		t.Fatal(err)
	}
	here := place{}
	here.mounted(t, "/var/lib/"+state[1], true, nil)
	here.mounted(t, "/etc/gatekeeper", false, nil)
	rules := filepath.Join(here["/etc/gatekeeper"].dir, "rules")
	if err := os.Mkdir(rules, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(rules, "none.yaml"), []byte("rules: []\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	here.starts(t, string(body))
}
