package conf_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/conf"
)

func read(body string, env map[string]string) (string, conf.Faults) {
	look := func(name string) (string, bool) { v, ok := env[name]; return v, ok }
	root, doc := conf.Parse("f.yaml", []byte(body), conf.Options{Env: look})
	o := root.Object()
	name := o.Get("name").Required()
	o.Get("count").Int(1, 1)
	o.Get("on").Bool(false)
	o.Get("after").Duration(time.Hour)
	o.Get("at").Time()
	o.Get("mode").Enum("a", "a", "b")
	o.Get("list").Strings()
	inner := o.Get("inner").Object()
	inner.Get("x").String("")
	inner.Close()
	o.Close()
	return name, doc.Faults()
}

func TestFaults(t *testing.T) {
	for name, c := range map[string]struct{ body, want string }{
		"right":             {"name: x\ncount: 3\non: true\nafter: 15m\nat: 2026-12-18T00:00:00Z\nmode: b\nlist: [a, b]\ninner: {x: y}\n", ""},
		"byte order mark":   {"\uFEFFname: x\n", ""},
		"CRLF":              {"name: x\r\ncount: 0\r\n", "f.yaml:2:8: error: count"},
		"runes, not bytes":  {"inner: {é: ü, x: y}\nname: {a: ß, b: c}\n", "f.yaml:1:9: error: é is no key here"},
		"missing":           {"count: 1\n", "f.yaml:1:1: error: name: is missing"},
		"empty":             {"name: ''\n", "f.yaml:1:7: error: name: is empty"},
		"unknown key":       {"name: x\ncuont: 1\n", "f.yaml:2:1: error: cuont is no key here; did you mean count?"},
		"far key":           {"name: x\nzzzzzzz: 1\n", "f.yaml:2:1: error: zzzzzzz is no key here; the keys here are name, count, on, after, at, mode, list, inner"},
		"inner key":         {"name: x\ninner:\n  y: 1\n", "f.yaml:3:3: error: y is no key here; the keys here are x"},
		"number":            {"name: x\ncount: many\n", `f.yaml:2:8: error: count: "many" was found; a whole number of at least 1 is wanted`},
		"too small":         {"name: x\ncount: 0\n", `f.yaml:2:8: error: count: "0" was found; a whole number of at least 1 is wanted`},
		"bool":              {"name: x\non: yes please\n", `f.yaml:2:5: error: on: "yes please" was found; true or false is wanted`},
		"duration":          {"name: x\nafter: 15\n", `f.yaml:2:8: error: after: "15" was found; a duration such as 90s, 15m, 1h or 2d is wanted`},
		"negative duration": {"name: x\nafter: -5m\n", `f.yaml:2:8: error: after: "-5m" was found; a duration such as 90s, 15m, 1h or 2d is wanted`},
		"time":              {"name: x\nat: tomorrow\n", `f.yaml:2:5: error: at: "tomorrow" was found; a time such as 2026-12-18T00:00:00Z is wanted`},
		"enum":              {"name: x\nmode: c\n", `f.yaml:2:7: error: mode: "c" was found; one of a, b is wanted`},
		"map for text":      {"name: {a: b}\n", "f.yaml:1:7: error: name: a map was found; a single value is wanted"},
		"list for map":      {"name: x\ninner: [1]\n", "f.yaml:2:8: error: inner: a list was found; a map is wanted"},
		"bool for text":     {"name: true\n", "f.yaml:1:7: error: name: true is no text; put it in quotes if it is meant as text"},
		"alias":             {"name: &n x\n", "f.yaml:1:7: error: name: anchors, aliases and tags are not taken; write the value out"},
		"unset variable":    {"name: ${NOPE}\n", "f.yaml:1:7: error: name: the environment has no NOPE; set it, or write the value"},
		"second document":   {"name: x\n---\nname: y\n", "a second document begins here"},
		"twice":             {"name: x\nname: y\n", "already defined"},
		"no YAML":           {"name: [x\n", "f.yaml:1:"},
		"deep":              {"name: " + strings.Repeat("[", 1000), "nests deeper"},
	} {
		t.Run(name, func(t *testing.T) {
			_, faults := read(c.body, nil)
			got := faults.Error()
			if c.want == "" && got != "" || !strings.Contains(got, c.want) {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

func TestAllFaultsAtOnce(t *testing.T) {
	_, faults := read("count: x\non: x\nafter: x\nfoo: 1\n", nil)
	if len(faults) != 5 {
		t.Errorf("got %d faults:\n%v", len(faults), faults)
	}
}

func TestEnvironment(t *testing.T) {
	name, faults := read("name: a-${WHO}-b\n", map[string]string{"WHO": "bob"})
	if name != "a-bob-b" || len(faults) != 0 {
		t.Errorf("got %q, %v", name, faults)
	}
}

// A colon without a space behind it belongs to the text, in flow lists too.
func TestColonsInFlow(t *testing.T) {
	root, doc := conf.Parse("f.yaml", []byte("a: {list: [slack:S0RELEASE, github:acme/ops], b: 1}\nc: [{x: [slack:U0B]}]\n"), conf.Options{})
	a := root.Object().Get("a").Object()
	got := a.Get("list").Strings()
	if len(got) != 2 || got[0] != "slack:S0RELEASE" || got[1] != "github:acme/ops" || len(doc.Faults()) != 0 {
		t.Errorf("got %q, %v", got, doc.Faults())
	}
	inner := root.Object().Get("c").List()[0].Object().Get("x").Strings()
	if len(inner) != 1 || inner[0] != "slack:U0B" {
		t.Errorf("got %q", inner)
	}
}

func TestSecretFiles(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "token"), []byte("canary\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	secret := func(body string) (string, string) {
		root, doc := conf.Parse("f.yaml", []byte(body), conf.Options{})
		o := root.Object()
		s := o.Secret("token", dir)
		o.Close()
		return s, doc.Faults().Error()
	}
	if s, faults := secret("token_file: token\n"); s != "canary" || faults != "" {
		t.Errorf("got %q, %s", s, faults)
	}
	if _, faults := secret("token_file: nowhere\n"); !strings.Contains(faults, "cannot be read") {
		t.Errorf("got %s", faults)
	}
	if _, faults := secret("token: canary\ntoken_file: token\n"); !strings.Contains(faults, "one of the two") || strings.Contains(faults, "canary") {
		t.Errorf("got %s", faults)
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"name: x\n", "a: [1, {b: c}]\n", "---\n...", "? a\n: b", "a: |\n  x\n", "{", "\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(_ *testing.T, body string) { read(body, nil) })
}
