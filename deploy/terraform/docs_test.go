package terraform

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/rules"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
)

// blocks are the page's code blocks of a language.
func blocks(t *testing.T, language string) []string {
	t.Helper()
	page, err := os.ReadFile("../../docs/credentials.md")
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, found := range regexp.MustCompile("(?s)\n```"+language+"\n(.*?)```").FindAllSubmatch(page, -1) {
		all = append(all, string(found[1]))
	}
	if len(all) == 0 {
		t.Fatalf("the page has no %s", language)
	}
	return all
}

// What the page shows of the modules is what they take.
func TestDocumentedModules(t *testing.T) {
	seen := map[string]bool{}
	for _, body := range blocks(t, "hcl") {
		if string(hclwrite.Format([]byte(body))) != body {
			t.Errorf("`tofu fmt` would change:\n%s", body)
		}
		file, faults := hclsyntax.ParseConfig([]byte(body), "docs", hcl.InitialPos)
		if faults.HasErrors() {
			t.Fatal(faults)
		}
		for _, call := range file.Body.(*hclsyntax.Body).Blocks {
			v, _ := call.Body.Attributes["source"].Expr.Value(nil)
			_, dir, ok := strings.Cut(v.AsString(), "//deploy/terraform/")
			if !ok {
				t.Fatalf("the source is %s", v.AsString())
			}
			calledAt(t, dir, dir, call)
			seen[dir] = true
		}
	}
	for _, dir := range modules(t) {
		if !seen[dir] && dir != "subject" {
			t.Errorf("the page shows nothing of %s", dir)
		}
	}
}

// Rules as the page shows them load without a fault, in each of the types.
func TestDocumentedRules(t *testing.T) {
	types := map[string]bool{}
	for _, body := range blocks(t, "yaml") {
		if !strings.HasPrefix(body, "credentials:") {
			continue
		}
		const rule = "rules:\n  - name: r\n    match: {repository: acme/payments, repository_id: \"1\"}\n    environment: production\n    approval: {approvers: [slack:S0RELEASE]}\n"
		indented := "    " + strings.ReplaceAll(strings.TrimRight(body, "\n"), "\n", "\n    ") + "\n"
		set, faults := rules.Parse([]rules.File{{Name: "docs.yaml", Body: []byte(rule + indented)}}, rules.Options{})
		if len(faults) > 0 {
			t.Fatalf("%v in\n%s", faults, body)
		}
		set.Each(func(r gatekeeper.Rule) { types[r.Credentials[0].Type] = true })
	}
	if len(types) != 6 {
		t.Errorf("the page shows %v", types)
	}
}
