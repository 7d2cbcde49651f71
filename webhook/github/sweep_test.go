package github_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/githubbox"
	"github.com/gatekeeper-ci/gatekeeper/webhook/github"
)

func noon() time.Time { return time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC) }

// sweeper runs one sweep, and tells when the next is due.
func sweeper(t *testing.T, client *github.Client, requests ...gatekeeper.Request) (*door, func() time.Time) {
	t.Helper()
	d := &door{memory: &memory{requests: requests}}
	p, err := github.NewProtection(github.ProtectionOptions{
		Client: client, Gate: d, Memory: d.memory, PublicURL: "https://gatekeeper.example.com", Repositories: 2, SweepEvery: time.Minute, Clock: noon,
	})
	if err != nil {
		t.Fatal(err)
	}
	return d, func() time.Time {
		d.work = nil
		if err := p.Handlers()[github.WorkSweep](t.Context(), gatekeeper.Work{Kind: github.WorkSweep}); err != nil {
			t.Fatal(err)
		}
		if len(d.work) != 1 || d.work[0].Kind != github.WorkSweep {
			t.Fatalf("after a sweep %+v is to be done", d.work)
		}
		return noon().Add(d.work[0].After)
	}
}

func repositoriesOf(refs []gatekeeper.DeploymentRef) []string {
	var names []string
	for _, ref := range refs {
		names = append(names, ref.Repository+"/"+ref.RunID+"/"+ref.Environment)
	}
	slices.Sort(names)
	return names
}

// Threats row 41: what waits for us is found without its webhook, and only
// what waits for us.
func TestSweepFindsWhatWaits(t *testing.T) {
	_, client := waits(t, func(repo *githubbox.Repository, run *githubbox.Run) {
		repo.Environments["staging"] = &githubbox.Environment{}
		repo.Environments["eu/prod"] = &githubbox.Environment{Rule: true}
		run.Waiting = []string{"production", "staging", "eu/prod"}
	})
	d, sweep := sweeper(t, client)
	if next := sweep(); !next.Equal(noon().Add(time.Minute)) {
		t.Errorf("the next sweep is at %s", next)
	}
	if got := fmt.Sprint(repositoriesOf(d.opened)); got != "[acme/payments/7001/eu/prod acme/payments/7001/production]" {
		t.Errorf("opened %s", got)
	}
	if d.opened[0].Via != "github.sweep" {
		t.Errorf("opened via %q", d.opened[0].Via)
	}
}

// A sweep looks at so many repositories, the next one at the next.
func TestSweepIsBounded(t *testing.T) {
	box, client := waits(t, nil)
	for i := range 4 {
		name := fmt.Sprintf("acme/r%d", i)
		box.Repo(githubbox.Repository{ID: int64(10 + i), Name: name, OwnerID: 99, Environments: map[string]*githubbox.Environment{"production": {Rule: true}}})
		box.Run(name, githubbox.Run{ID: int64(100 + i), Attempt: 1, Event: "push", HeadBranch: "main", HeadSHA: sha, Waiting: []string{"production"}})
	}
	d, sweep := sweeper(t, client)
	for i, want := range []int{2, 4, 6} {
		if sweep(); len(d.opened) != want {
			t.Fatalf("sweep %d: %d are opened in all, want %d", i, len(d.opened), want)
		}
	}
	all := repositoriesOf(d.opened)
	if all = slices.Compact(all); len(all) != 5 {
		t.Errorf("three sweeps of two found %v", all)
	}
}

// What was told its outcome may wait for other rules. Where there are none,
// it is another job whose webhook was lost.
func TestSweepAfterAVerdict(t *testing.T) {
	for name, c := range map[string]struct {
		attempt string
		opened  int
	}{"told": {"1", 1}, "told an earlier attempt": {"0", 1}} {
		_, client := waits(t, nil)
		d, sweep := sweeper(t, client)
		d.notes = map[string][]byte{"github.reports acme/payments/7001/production": []byte(`{"attempt":"` + c.attempt + `","count":1,"subject":"req_1","state":"approved"}`)}
		if sweep(); len(d.opened) != c.opened {
			t.Errorf("%s: opened %v", name, d.opened)
		}
	}
	box, client := waits(t, nil)
	box.OtherRule("acme/payments", "production")
	d, sweep := sweeper(t, client)
	d.notes = map[string][]byte{"github.reports acme/payments/7001/production": []byte(`{"attempt":"1","count":1,"subject":"req_1","state":"approved"}`)}
	if sweep(); len(d.opened) != 0 {
		t.Errorf("another App's rule keeps it waiting: opened %v", d.opened)
	}
}

// A sweep leaves the rate limit to decisions, and comes back after its reset.
func TestSweepObeysLimits(t *testing.T) {
	box, client := waits(t, nil)
	box.FailNext("GET /repos/{owner}/{repo}/actions/runs", githubbox.Fault{Status: http.StatusTooManyRequests, RetryAfter: 10 * time.Minute})
	_, sweep := sweeper(t, client)
	if next := sweep(); !next.Equal(noon().Add(10 * time.Minute)) {
		t.Errorf("after Retry-After of ten minutes the next sweep is at %s", next)
	}
	box, client = waits(t, nil)
	box.Repo(githubbox.Repository{ID: 10, Name: "acme/another", OwnerID: 99})
	box.Limit(1000)
	_, sweep = sweeper(t, client)
	sweep()
	if a, b := box.Calls("/repos/acme/another/actions/runs"), box.Calls("/repos/acme/payments/actions/runs"); a+b != 1 {
		t.Errorf("with a fifth of the limit left %d repositories were looked at, want to stop after one", a+b)
	}
}

// Nobody is asked about a run that is over, gone or re-run.
func TestSweepWithdraws(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*githubbox.Repository, *githubbox.Run)
		want   int
	}{
		"over":   {func(_ *githubbox.Repository, r *githubbox.Run) { r.Completed = true }, 1},
		"re-run": {func(_ *githubbox.Repository, r *githubbox.Run) { r.Attempt = 2 }, 1},
		"gone":   {func(_ *githubbox.Repository, r *githubbox.Run) { r.ID = 8 }, 1},
		"waits":  {nil, 0},
	} {
		_, client := waits(t, c.change)
		d, sweep := sweeper(t, client, decided(gatekeeper.Pending))
		if sweep(); len(d.withdrawn) != c.want {
			t.Errorf("%s: withdrawn %v", name, d.withdrawn)
		}
	}
}
