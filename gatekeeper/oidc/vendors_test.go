package oidc_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/oidc"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// documented is one file of testdata/claims: what a vendor's page shows, and
// the workload that it has to become.
type documented struct {
	Source, Type, URL string
	Owners            []string
	Claims            map[string]any
	Workload          gatekeeper.Workload
}

func readDocumented(t *testing.T, name string) documented {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("testdata", "claims", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var d documented
	if err := json.Unmarshal(body, &d); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	// The claims as a token's strict decoder gives them, numbers as written.
	var raw struct{ Claims json.RawMessage }
	if err := json.Unmarshal(body, &raw); err != nil {
		t.Fatal(err)
	}
	if d.Claims, err = oidc.StrictJSON(raw.Claims); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return d
}

// present signs the claims as the vendor's issuer and shows them to a
// verifier that trusts it.
func (d documented) present(t *testing.T, change map[string]any) (gatekeeper.Workload, error) {
	t.Helper()
	b := begin(t)
	v, err := oidc.New(oidc.Options{Now: b.Now, Issuers: []oidc.Issuer{{Type: d.Type, URL: b.URL(), Audience: ours, Owners: d.Owners}}})
	if err != nil {
		t.Fatal(err)
	}
	claims := maps.Clone(d.Claims)
	maps.Copy(claims, change)
	return v.Verify(t.Context(), b.Token(ours, claims), "")
}

// Each vendor's claims, as its documentation shows them, become the workload
// that rules and people see, whole.
func TestDocumentedClaims(t *testing.T) {
	files, err := filepath.Glob("testdata/claims/*.json")
	if err != nil || len(files) < 11 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		t.Run(name, func(t *testing.T) {
			d := readDocumented(t, name)
			got, err := oidc.WorkloadFromClaims(d.Type, "", d.URL, d.Claims)
			if err != nil {
				t.Fatal(err)
			}
			kept := cmpopts.IgnoreFields(gatekeeper.Workload{}, "Claims", "Token")
			if diff := cmp.Diff(d.Workload, got, kept); diff != "" {
				t.Errorf("of %s:\n%s", d.Source, diff)
			}
			verified, err := d.present(t, nil)
			if err != nil {
				t.Fatal(err)
			}
			// The stand-in signs at its own URL, which some runs' URLs begin with.
			atItsOwn := cmpopts.IgnoreFields(gatekeeper.Workload{}, "Claims", "Token", "IssuerURL", "RunURL")
			if diff := cmp.Diff(d.Workload, verified, atItsOwn); diff != "" {
				t.Errorf("verified:\n%s", diff)
			}
			if verified.Token.ID == "" || verified.RunURL == "" && d.Type != "oidc" {
				t.Errorf("the token's id is %q, the run's URL %q", verified.Token.ID, verified.RunURL)
			}
		})
	}
}

// Threats row 12: what is never taken from each CI, and what it is told.
func TestVendors(t *testing.T) {
	const p = "oidc.circleci.com/"
	for name, c := range map[string]struct {
		claims string
		change map[string]any
		says   string // "": taken
	}{
		"github/other owner, same name":     {"github", map[string]any{"repository_owner": "octo-0rg", "repository_owner_id": "66"}, "owners"},
		"github/pull_request_target":        {"github", map[string]any{"event_name": "pull_request_target"}, ""}, // the rules refuse it: see their tests
		"gitlab/merge request":              {"gitlab", map[string]any{"pipeline_source": "merge_request_event"}, "merge request"},
		"gitlab/external pull request":      {"gitlab", map[string]any{"pipeline_source": "external_pull_request_event"}, "merge request"},
		"gitlab/merge request ref":          {"gitlab", map[string]any{"ref_path": "refs/merge-requests/1/head"}, "merge request"},
		"gitlab/fork since 18.2":            {"gitlab", map[string]any{"job_project_id": "21"}, "another project"},
		"gitlab/fork's child pipeline":      {"gitlab", map[string]any{"pipeline_source": "parent_pipeline", "source_project_id": "21"}, "another project"},
		"gitlab/before 18.3":                {"gitlab", map[string]any{"job_project_id": nil, "job_project_path": nil}, ""},
		"gitlab/other group":                {"gitlab", map[string]any{"namespace_path": "evil/my-group"}, "owners"},
		"gitlab/no commit":                  {"gitlab", map[string]any{"sha": nil}, "GitLab adds it"},
		"buildkite/other organization":      {"buildkite", map[string]any{"organization_id": "x"}, "owners"},
		"buildkite/no organization id":      {"buildkite", map[string]any{"organization_id": nil}, "--claim organization_id,pipeline_id"},
		"buildkite/organization of a name":  {"buildkite", map[string]any{"organization_id": nil, "organization_slug": "f892efa9-103e-4d28-97a1-3b8616a0994d"}, "organization_id"},
		"buildkite/fork":                    {"buildkite", map[string]any{"build_branch": "mallory:main", "build_tag": nil}, "fork"},
		"buildkite/fork with a tag":         {"buildkite", map[string]any{"build_branch": "mallory:main"}, "fork"},
		"buildkite/no commit":               {"buildkite", map[string]any{"build_commit": "HEAD"}, "which commit"},
		"circleci/SSH re-run":               {"circleci", map[string]any{p + "ssh-rerun": true}, "SSH"},
		"circleci/no word of SSH":           {"circleci", map[string]any{p + "ssh-rerun": nil}, "SSH"},
		"circleci/SSH as text":              {"circleci", map[string]any{p + "ssh-rerun": "false"}, "SSH"},
		"circleci/custom webhook":           {"circleci", map[string]any{p + "vcs-origin": nil, p + "vcs-ref": nil}, "custom webhook"},
		"circleci/no workflow, no pipeline": {"circleci", map[string]any{p + "workflow-id": nil, p + "pipeline-id": nil}, "which run"},
		"circleci/no workflow":              {"circleci", map[string]any{p + "workflow-id": nil, p + "job-id": nil}, ""},
		"bitbucket/no step":                 {"bitbucket", map[string]any{"stepUuid": nil}, "stepUuid"},
		"kubernetes/no pod":                 {"kubernetes", map[string]any{"kubernetes.io": map[string]any{"namespace": "x"}}, "projected"},
		"oidc/no run":                       {"oidc", map[string]any{"run_id": nil}, "run_id"},
		"oidc/empty jti":                    {"oidc", map[string]any{"jti": ""}, "jti"},
		"oidc/jti of another type":          {"oidc", map[string]any{"jti": 7}, "jti"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := readDocumented(t, c.claims).present(t, c.change)
			if c.says == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if gatekeeper.CodeOf(err) != gatekeeper.CodeInvalidToken || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("got %v, want a refusal that says %q", err, c.says)
			}
		})
	}
}

// Claims that are tried out are told what a token of them would be told.
func TestNeverTaken(t *testing.T) {
	for _, c := range []struct {
		typ    string
		claims map[string]any
		says   string
	}{
		{"gitlab", map[string]any{"pipeline_source": "merge_request_event"}, "merge request"},
		{"gitlab", map[string]any{"pipeline_source": "push"}, ""},
		{"circleci", map[string]any{"oidc.circleci.com/ssh-rerun": true}, "SSH"},
		{"circleci", map[string]any{}, ""},
		{"buildkite", map[string]any{"build_branch": "mallory:main"}, "fork"},
		{"github", map[string]any{"event_name": "pull_request"}, ""},
		{"nonsense", nil, ""},
	} {
		if got := oidc.NeverTaken(c.typ, c.claims); got == "" != (c.says == "") || !strings.Contains(got, c.says) {
			t.Errorf("%s %v: got %q, want %q", c.typ, c.claims, got, c.says)
		}
	}
}

// A fork on CircleCI is another repository, in whatever form its origin comes.
func TestCircleOrigins(t *testing.T) {
	for origin, want := range map[string]string{
		"github.com/acme/payments": "acme/payments", "https://github.com/acme/payments.git": "acme/payments",
		"github.com/mallory/payments": "mallory/payments", "gitlab.com/acme/backend/payments": "acme/backend/payments", "acme": "",
	} {
		w, err := oidc.WorkloadFromClaims("circleci", "", "", map[string]any{"oidc.circleci.com/vcs-origin": origin})
		if err != nil || w.Repository != want {
			t.Errorf("%s: got %q, %v; want %q", origin, w.Repository, err, want)
		}
	}
}

// What a token does not say is absent, never half of it (threats row 4).
func TestAbsentClaimsStayAbsent(t *testing.T) {
	for _, typ := range []string{"github", "gitlab", "buildkite", "circleci", "bitbucket", "oidc"} {
		w, err := oidc.WorkloadFromClaims(typ, "", "https://ci.example", map[string]any{})
		if err != nil {
			t.Fatal(err)
		}
		want := gatekeeper.Workload{Issuer: typ, IssuerType: typ, IssuerURL: "https://ci.example", Claims: map[string]any{}}
		if diff := cmp.Diff(want, w); diff != "" {
			t.Errorf("%s:\n%s", typ, diff)
		}
	}
}

// Without a jti the signed bytes are the token's identity: the same token
// gives the same one, another token another.
func TestIdentityWithoutJTI(t *testing.T) {
	b := begin(t)
	d := readDocumented(t, "kubernetes")
	v, err := oidc.New(oidc.Options{Now: b.Now, Issuers: []oidc.Issuer{{Type: d.Type, URL: b.URL(), Audience: ours}}})
	if err != nil {
		t.Fatal(err)
	}
	first := b.Token(ours, d.Claims)
	d.Claims["step"] = "2"
	ids := map[string]bool{}
	for _, raw := range []string{first, first, b.Token(ours, d.Claims)} {
		w, err := v.Verify(t.Context(), raw, "")
		if err != nil {
			t.Fatal(err)
		}
		ids[w.Token.ID] = true
	}
	if len(ids) != 2 {
		t.Errorf("two tokens have %d identities", len(ids))
	}
}

// Issuers that sign for everybody want owners, under whatever type they are
// configured.
func TestOwnersAreNeeded(t *testing.T) {
	for name, c := range map[string]struct {
		issuer oidc.Issuer
		says   string // "": taken
	}{
		"github.com":              {oidc.Issuer{Type: "github"}, "owners"},
		"github.com as oidc":      {oidc.Issuer{Type: "oidc", URL: "https://token.actions.githubusercontent.com"}, "type: github"},
		"an enterprise":           {oidc.Issuer{Type: "github", URL: "https://token.actions.githubusercontent.com/acme"}, ""},
		"GHES":                    {oidc.Issuer{Type: "github", URL: "https://ghes.acme.example/_services/token"}, ""},
		"data residency":          {oidc.Issuer{Type: "github", URL: "https://token.actions.acme.ghe.com"}, ""},
		"gitlab.com":              {oidc.Issuer{Type: "gitlab"}, "owners"},
		"gitlab.com as oidc":      {oidc.Issuer{Type: "oidc", URL: "https://gitlab.com"}, "type: gitlab"},
		"a GitLab of one's own":   {oidc.Issuer{Type: "gitlab", URL: "https://gitlab.acme.example"}, ""},
		"buildkite":               {oidc.Issuer{Type: "buildkite"}, "owners"},
		"buildkite, another URL":  {oidc.Issuer{Type: "buildkite", URL: "https://agent.example"}, "owners"},
		"buildkite as oidc":       {oidc.Issuer{Type: "oidc", URL: "https://agent.buildkite.com"}, "type: buildkite"},
		"circleci without a URL":  {oidc.Issuer{Type: "circleci"}, "url"},
		"circleci for everybody":  {oidc.Issuer{Type: "circleci", URL: "https://oidc.circleci.com"}, "owners"},
		"circleci as oidc":        {oidc.Issuer{Type: "oidc", URL: "https://oidc.circleci.com"}, "type: circleci"},
		"circleci's organization": {oidc.Issuer{Type: "circleci", URL: "https://oidc.circleci.com/org/f0a1"}, ""},
		"bitbucket's workspace":   {oidc.Issuer{Type: "bitbucket", URL: "https://api.bitbucket.org/2.0/workspaces/acme/pipelines-config/identity/oidc"}, ""},
		"oidc without a URL":      {oidc.Issuer{Type: "oidc"}, "url"},
	} {
		c.issuer.Audience = ours
		if _, err := c.issuer.Complete(); c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%s: got %v, want %q", name, err, c.says)
		}
	}
}
