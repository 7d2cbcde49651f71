// Package terraform holds the modules to what can be held without a cloud:
// their form, that all they name is there, and that the subject they trust is
// the one that the gatekeeper's tokens carry.
package terraform

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/sts/issuer"
	"github.com/gatekeeper-ci/gatekeeper/sts/ststest"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"
)

// module is a directory of .tf files, read.
type module struct {
	variables, outputs, locals map[string]*hclsyntax.Block
	values                     map[string]hclsyntax.Expression // of locals
	calls                      map[string]*hclsyntax.Block     // other modules
	things                     map[string]bool                 // resources, and data.…
	used                       map[string]bool                 // var.x, local.x, …
}

func modules(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob("*/main.tf")
	if err != nil || len(found) < 6 {
		t.Fatalf("%v, %v", found, err)
	}
	for i, path := range found {
		found[i] = filepath.Dir(path)
	}
	return found
}

func read(t *testing.T, dir string) module {
	t.Helper()
	m := module{map[string]*hclsyntax.Block{}, map[string]*hclsyntax.Block{}, map[string]*hclsyntax.Block{}, map[string]hclsyntax.Expression{},
		map[string]*hclsyntax.Block{}, map[string]bool{}, map[string]bool{}}
	files, err := filepath.Glob(dir + "/*.tf")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		body, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if string(hclwrite.Format(body)) != string(body) {
			t.Errorf("%s: `tofu fmt` would change it", path)
		}
		file, faults := hclsyntax.ParseConfig(body, path, hcl.InitialPos)
		if faults.HasErrors() {
			t.Fatal(faults)
		}
		for _, b := range file.Body.(*hclsyntax.Body).Blocks {
			m.add(t, b)
		}
	}
	return m
}

func (m module) add(t *testing.T, b *hclsyntax.Block) {
	t.Helper()
	switch b.Type {
	case "variable":
		m.variables[b.Labels[0]] = b
	case "output":
		m.outputs[b.Labels[0]] = b
	case "module":
		m.calls[b.Labels[0]] = b
	case "resource":
		m.things[strings.Join(b.Labels, ".")] = true
	case "data":
		m.things["data."+strings.Join(b.Labels, ".")] = true
	case "locals":
		for name, a := range b.Body.Attributes {
			m.locals[name], m.values[name] = b, a.Expr
		}
	case "terraform":
	default:
		t.Errorf("%s: a block %s", b.TypeRange, b.Type)
	}
	m.uses(b.Body)
}

func (m module) uses(body *hclsyntax.Body) {
	for _, a := range body.Attributes {
		for _, traversal := range a.Expr.Variables() {
			var parts []string
			for _, step := range traversal {
				switch step := step.(type) {
				case hcl.TraverseRoot:
					parts = append(parts, step.Name)
				case hcl.TraverseAttr:
					parts = append(parts, step.Name)
				}
			}
			m.used[strings.Join(parts, ".")] = true
		}
	}
	for _, b := range body.Blocks {
		m.uses(b.Body)
	}
}

// Everything is formatted, described, declared and used.
func TestModules(t *testing.T) {
	for _, dir := range modules(t) {
		t.Run(dir, func(t *testing.T) {
			m := read(t, dir)
			for name, b := range m.variables {
				if b.Body.Attributes["description"] == nil || b.Body.Attributes["type"] == nil {
					t.Errorf("variable %s has no description or type", name)
				}
				if !m.used["var."+name] {
					t.Errorf("variable %s is not used", name)
				}
			}
			for name, b := range m.outputs {
				if b.Body.Attributes["description"] == nil {
					t.Errorf("output %s has no description", name)
				}
			}
			for name := range m.locals {
				if !m.used["local."+name] {
					t.Errorf("local %s is not used", name)
				}
			}
			for _, use := range slices.Sorted(maps.Keys(m.used)) {
				if !m.knows(t, dir, use) {
					t.Errorf("%s is not there", use)
				}
			}
			for name, call := range m.calls {
				called(t, dir, name, call)
			}
		})
	}
}

// knows says whether a reference leads somewhere.
func (m module) knows(t *testing.T, dir, use string) bool {
	t.Helper()
	parts := strings.Split(use, ".")
	switch parts[0] {
	case "var":
		return m.variables[parts[1]] != nil
	case "local":
		return m.locals[parts[1]] != nil
	case "each", "condition":
		return true
	case "data":
		return m.things[strings.Join(parts[:3], ".")]
	case "module":
		call := m.calls[parts[1]]
		return call != nil && read(t, source(t, dir, call)).outputs[parts[2]] != nil
	case "string", "number", "bool": // types
		return true
	}
	return m.things[strings.Join(parts[:2], ".")]
}

func source(t *testing.T, dir string, call *hclsyntax.Block) string {
	t.Helper()
	v, faults := call.Body.Attributes["source"].Expr.Value(nil)
	if faults.HasErrors() {
		t.Fatal(faults)
	}
	return filepath.Join(dir, v.AsString())
}

// called holds a module's arguments to its variables.
func called(t *testing.T, dir, name string, call *hclsyntax.Block) {
	t.Helper()
	calledAt(t, source(t, dir, call), name, call)
}

func calledAt(t *testing.T, dir, name string, call *hclsyntax.Block) {
	t.Helper()
	other := read(t, dir)
	for argument := range call.Body.Attributes {
		if argument != "source" && other.variables[argument] == nil {
			t.Errorf("module %s takes no %s", name, argument)
		}
	}
	for variable, b := range other.variables {
		if call.Body.Attributes[variable] == nil && b.Body.Attributes["default"] == nil {
			t.Errorf("module %s wants %s", name, variable)
		}
	}
}

// names are repositories and environments as jobs spell them.
var names = [][2]string{
	{"acme/payments", "production"}, {"acme/payments", "Production"}, {"acme/payments", "eu:Production"},
	{"acme/a:environment:b", "x"}, {"acme/100%", "50%3A"}, {"group/sub/project", "review/feature-1"},
}

func subjectOf(t *testing.T, name [2]string) string {
	t.Helper()
	w := ststest.Workload()
	w.Repository = name[0]
	return issuer.Subject(ststest.GrantFor(t, gatekeeper.CredentialSpec{Type: "oidc", OIDC: &gatekeeper.OIDCSpec{Audience: "x"}}, w, name[1]))
}

// What the modules trust is what tokens say.
func TestSubject(t *testing.T) {
	m := read(t, "subject")
	for _, name := range names {
		eval := &hcl.EvalContext{
			Functions: map[string]function.Function{"replace": stdlib.ReplaceFunc, "lower": stdlib.LowerFunc},
			Variables: map[string]cty.Value{"var": cty.ObjectVal(map[string]cty.Value{"repository": cty.StringVal(name[0]), "environment": cty.StringVal(name[1])})},
		}
		locals := map[string]cty.Value{}
		for key, expr := range m.values {
			locals[key] = value(t, expr, eval)
		}
		eval.Variables["local"] = cty.ObjectVal(locals)
		if got, want := value(t, m.outputs["subject"].Body.Attributes["value"].Expr, eval).AsString(), subjectOf(t, name); got != want {
			t.Errorf("%q: the module trusts %q, tokens say %q", name, got, want)
		}
	}
}

func value(t *testing.T, expr hclsyntax.Expression, eval *hcl.EvalContext) cty.Value {
	t.Helper()
	v, faults := expr.Value(eval)
	if faults.HasErrors() {
		t.Fatal(faults)
	}
	return v
}
