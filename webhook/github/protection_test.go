package github_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/githubbox"
	"github.com/gatekeeper-ci/gatekeeper/webhook/github"
	"github.com/google/go-cmp/cmp"
)

// memory keeps notes and work in maps.
type memory struct {
	mu       sync.Mutex
	notes    map[string][]byte
	work     []gatekeeper.Work
	requests []gatekeeper.Request
}

func (m *memory) Note(_ context.Context, kind, key string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.notes[kind+" "+key], nil
}

func (m *memory) SetNote(ctx context.Context, kind, key string, value []byte) error {
	return m.Record(ctx, gatekeeper.Change{Notes: []gatekeeper.Note{{Kind: kind, Key: key, Value: value}}})
}

func (m *memory) Record(_ context.Context, c gatekeeper.Change) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.notes == nil {
		m.notes = map[string][]byte{}
	}
	for _, n := range c.Notes {
		m.notes[n.Kind+" "+n.Key] = n.Value
	}
	m.work = append(m.work, c.Work...)
	return nil
}

func (m *memory) Get(_ context.Context, id string) (gatekeeper.Request, error) {
	for _, r := range m.requests {
		if r.ID == id {
			return r, nil
		}
	}
	return gatekeeper.Request{}, gatekeeper.Errorf(gatekeeper.CodeNotFound, "no such request")
}

func (m *memory) Find(_ context.Context, f gatekeeper.Filter) ([]gatekeeper.Request, error) {
	var found []gatekeeper.Request
	for _, r := range m.requests {
		if len(f.States) == 0 || f.States[0] == r.State {
			found = append(found, r)
		}
	}
	return found, nil
}

// door is a gate that notes what it is asked to open.
type door struct {
	*memory
	opened    []gatekeeper.DeploymentRef
	withdrawn []string
	err       error
}

func (d *door) OpenDeployment(_ context.Context, ref gatekeeper.DeploymentRef) (gatekeeper.Request, bool, error) {
	d.opened = append(d.opened, ref)
	return gatekeeper.Request{ID: "req_1"}, true, d.err
}

func (d *door) Lookup(ctx context.Context, id string) (gatekeeper.Request, error) {
	return d.Get(ctx, id)
}

func (d *door) Withdraw(_ context.Context, id, _ string) (gatekeeper.Request, error) {
	d.withdrawn = append(d.withdrawn, id)
	return gatekeeper.Request{}, nil
}

func protect(t *testing.T) (*githubbox.GitHub, *github.Protection, *door) {
	t.Helper()
	box, client := start(t)
	d := &door{memory: &memory{}}
	p, err := github.NewProtection(github.ProtectionOptions{Client: client, Gate: d, Memory: d.memory, PublicURL: "https://gatekeeper.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	return box, p, d
}

// What becomes of each payload: what it opens, or that the sweep has to look.
func TestProtectionRulePayloads(t *testing.T) {
	plain := gatekeeper.DeploymentRef{
		Repository: "acme/payments", RunID: "7001", Environment: "production", Via: "github.deployment_protection_rule",
		Told: gatekeeper.Told{DefaultBranch: "main", RepositoryID: "1234567", Owner: gatekeeper.Account{Login: "acme", ID: "99"}},
	}
	ref := func(name string) *gatekeeper.DeploymentRef { r := plain; r.Told.Ref = name; return &r }
	odd := plain
	odd.Environment = "Europa/west 1 – ünï"
	wants := map[string]*gatekeeper.DeploymentRef{ // nil: the sweep looks
		"github": &plain, "ghes": &plain, "data_residency": &plain, "with_ref": ref("refs/heads/main"), "with_full_deployment_ref": ref("refs/tags/v1.2"),
		"no_deployment": &plain, "nulls": &plain, "environment_in_deployment": &plain, "no_installation": &plain, "odd_environment": &odd,
		// Only the number is read of the callback, and the run is looked up in
		// the payload's repository at the configured API (threats row 42).
		"callback_elsewhere": &plain, "callback_of_another_repository": &plain,
		"no_callback": nil, "callback_without_run": nil, "callback_no_url": nil, "minimal": nil,
		"hostile_repository": nil, "repository_with_path": nil, "environment_no_string": nil,
	}
	files, err := filepath.Glob("../../testdata/github/deployment_protection_rule/*.json")
	if err != nil || len(files) != len(wants)+1 {
		t.Fatalf("%d payloads, %v; want %d", len(files), err, len(wants)+1)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		t.Run(name, func(t *testing.T) {
			body, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			_, p, d := protect(t)
			box := &inbox{}
			h := hook(t, box, github.Subscriptions{"deployment_protection_rule": p.Subscription()})
			w := httptest.NewRecorder()
			if h.ServeHTTP(w, delivery("delivery-1", "deployment_protection_rule", string(body))); w.Code != http.StatusAccepted {
				t.Fatalf("answered %d %s", w.Code, w.Body)
			}
			if name == "other_action" {
				if len(box.work) != 0 {
					t.Error("another action was recorded")
				}
				return
			}
			if err := h.Handlers()[github.WorkWebhook](t.Context(), box.work[0]); err != nil {
				t.Fatal(err)
			}
			if want := wants[name]; want == nil {
				if len(d.opened) != 0 || len(d.work) != 1 || d.work[0].Kind != github.WorkSweep {
					t.Errorf("opened %+v, work %+v; want a sweep", d.opened, d.work)
				}
			} else if diff := cmp.Diff([]gatekeeper.DeploymentRef{*want}, d.opened); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Only what is worth another try fails the work: too many requests, storage
// or GitHub out of reach.
func TestOpeningThatFails(t *testing.T) {
	body, err := os.ReadFile("../../testdata/github/deployment_protection_rule/github.json")
	if err != nil {
		t.Fatal(err)
	}
	for code, again := range map[gatekeeper.Code]bool{
		gatekeeper.CodeAccessDenied: false, gatekeeper.CodeNotFound: false, gatekeeper.CodeInvalidRequest: false,
		gatekeeper.CodeSlowDown: true, gatekeeper.CodeUnavailable: true, gatekeeper.CodeInternal: true,
	} {
		_, p, d := protect(t)
		d.err = gatekeeper.Errorf(code, "no")
		if err := p.Subscription().Handle(t.Context(), github.Event{Payload: body}); (err != nil) != again {
			t.Errorf("%s: %v", code, err)
		}
	}
}

// FuzzProtectionPayload: whatever GitHub's signature covers, what is opened
// has names that stay within the API's path.
func FuzzProtectionPayload(f *testing.F) {
	files, _ := filepath.Glob("../../testdata/github/deployment_protection_rule/*.json")
	for _, file := range files {
		if body, err := os.ReadFile(file); err == nil {
			f.Add(body)
		}
	}
	box, err := githubbox.New()
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(box.Close)
	client, err := github.New(github.Options{APIURL: box.URL(), AppID: githubbox.AppID, PrivateKey: box.PrivateKey()})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		d := &door{memory: &memory{}}
		p, err := github.NewProtection(github.ProtectionOptions{Client: client, Gate: d, Memory: d.memory, PublicURL: "https://gatekeeper.example.com"})
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Subscription().Handle(t.Context(), github.Event{Payload: body}); err != nil {
			t.Fatal(err)
		}
		for _, ref := range d.opened {
			owner, repo, ok := strings.Cut(ref.Repository, "/")
			if !ok || strings.ContainsAny(owner+repo, "/?#%\\ ") || strings.Contains(repo, "..") || ref.Environment == "" || strings.Trim(ref.RunID, "0123456789") != "" {
				t.Fatalf("opened %+v", ref)
			}
		}
	})
}
