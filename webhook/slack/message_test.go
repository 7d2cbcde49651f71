package slack

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/google/go-cmp/cmp"
	slackgo "github.com/slack-go/slack"
)

var rewrite = flag.Bool("rewrite", false, "write the golden messages anew")

func vote(id, name string, c gatekeeper.Choice, after time.Duration) gatekeeper.Vote {
	return gatekeeper.Vote{
		Person: gatekeeper.Person{Slack: id, Team: "T0ACME", Name: name}, Choice: c, Via: "slack.button",
		As: []gatekeeper.Approver{"slack:S0RELEASE"}, At: start().Add(after),
	}
}

func approved() gatekeeper.Request {
	r := pending("req_1")
	r.State, r.DecidedAt, r.RedeemBefore = gatekeeper.Approved, start().Add(3*time.Minute), start().Add(18*time.Minute)
	r.Votes = []gatekeeper.Vote{vote("U0BOB", "Bob", gatekeeper.Approve, 3*time.Minute)}
	r.Votes[0].Reason = "Reviewed *twice*"
	return r
}

func ended(s gatekeeper.State) gatekeeper.Request {
	r := pending("req_1")
	r.State, r.DecidedAt = s, start().Add(5*time.Minute)
	return r
}

// messages are the states that people see, by their golden file.
func messages() map[string]struct {
	r gatekeeper.Request
	v View
} {
	page := View{PublicURL: "https://gatekeeper.example.com", Now: start().Add(6 * time.Minute),
		Names: map[gatekeeper.Approver]string{"slack:S0RELEASE": "@release-managers", "slack:S0SEC": "@security"}}
	all := map[string]struct {
		r gatekeeper.Request
		v View
	}{}
	add := func(name string, r gatekeeper.Request, v View) {
		all[name] = struct {
			r gatekeeper.Request
			v View
		}{r, v}
	}
	add("pending", pending("req_1"), page)

	groups := pending("req_1")
	groups.Rule.Approval.Groups = []gatekeeper.Group{
		{Name: "release", Approvers: []gatekeeper.Approver{"slack:S0RELEASE"}, Quorum: 2},
		{Name: "security", Approvers: []gatekeeper.Approver{"slack:S0SEC"}, Quorum: 1},
	}
	groups.Votes = []gatekeeper.Vote{vote("U0BOB", "Bob", gatekeeper.Approve, time.Minute)}
	groups.Freeze = "year-end"
	add("pending-groups", groups, page)

	rerun := pending("req_1")
	rerun.Workload.RunAttempt = "2"
	rerun.Initiators = gatekeeper.Initiators{Why: "GitHub was not asked who started attempt 2."}
	add("pending-unknown-initiator", rerun, page)

	bot := pending("req_1")
	bot.Workload.Actor = "renovate[bot]"
	bot.Initiators.People = []gatekeeper.Account{{Login: "renovate[bot]"}}
	add("pending-bot", bot, page)

	rich := page
	rich.Context = &Context{Title: "Round refunds half to even", More: 3, Compare: "https://github.com/acme/payments/compare/a...b",
		Commits: []Commit{{SHA: testSHA, Title: "Round refunds half to even", Author: "alice"}, {SHA: "0123456789abcdef", Title: "Add *bold* <!channel>", Author: "eve"}}}
	rich.People = gatekeeper.People{{Name: "Alice Liddell", Slack: "U0ALICE", GitHub: "alice"}}
	add("pending-context", pending("req_1"), rich)

	whole := rich
	whole.Context = &Context{
		Title: "Round refunds half to even", Authors: []string{"alice", "eve"}, Branch: "⚠️ the commit is not on main", ReRunBy: "bob",
		Pull:   &Pull{Number: 12, Title: "Round *refunds*", Author: "alice", URL: "https://github.com/acme/payments/pull/12", ApprovedBy: []string{"bob", "carol"}, ChangesWantedBy: []string{"dave"}},
		Checks: &Checks{Passed: 12, Running: 1, Failed: []string{"lint"}}, Compare: "https://github.com/acme/payments/compare/a...b",
		Commits: []Commit{{SHA: testSHA, Title: "Round refunds half to even", Author: "alice"}}, Behind: 2, Diff: "12 files, +340 −12",
	}
	add("pending-context-whole", pending("req_1"), whole)
	same := rich
	same.Context = &Context{Title: "Round refunds half to even", Unchanged: true, Pull: &Pull{Number: 12, Title: "Round", Author: "alice", URL: "javascript:alert(1)"}}
	add("pending-context-same", pending("req_1"), same)

	add("approved", approved(), page)
	lapsed := page
	lapsed.Now = start().Add(time.Hour)
	add("approved-lapsed", approved(), lapsed)

	redeemed := approved()
	redeemed.Redemptions = []gatekeeper.Redemption{
		{ID: "red_1", Job: "job:501", Credential: "deploy", State: gatekeeper.RedemptionFailed, Detail: "AccessDenied", At: start().Add(4 * time.Minute)},
		{ID: "red_2", Job: "job:501", Credential: "deploy", State: gatekeeper.RedemptionSucceeded, At: start().Add(5 * time.Minute)},
	}
	add("redeemed", redeemed, page)

	living := approved()
	living.Redemptions = []gatekeeper.Redemption{
		{ID: "red_1", Job: "job:501", Credential: "deploy", State: gatekeeper.RedemptionSucceeded, At: start().Add(5 * time.Minute), ExpiresAt: start().Add(time.Hour)},
		{ID: "red_2", Job: "job:501", Credential: "kv", State: gatekeeper.RedemptionSucceeded, At: start().Add(5 * time.Minute), ExpiresAt: start().Add(time.Hour)},
	}
	add("redeemed-living", living, page)

	taken := living
	taken.Redemptions = slices.Clone(living.Redemptions)
	taken.Votes = append(slices.Clone(living.Votes), vote("U0CAROL", "Carol", gatekeeper.RevokeCredentials, 6*time.Minute))
	taken.TakenBack = &gatekeeper.TakenBack{By: gatekeeper.Actor{Kind: "person", ID: "slack:U0CAROL", Name: "Carol"}, At: start().Add(6 * time.Minute)}
	taken.Redemptions[0].Taken = &gatekeeper.Taken{State: gatekeeper.RevocationFailed, Detail: "AWS revokes no session by itself", Todo: "aws iam put-role-policy \\\n  --policy-document '{<!channel>}'"}
	taken.Redemptions[1].Taken = &gatekeeper.Taken{State: gatekeeper.RevocationDone, Detail: "Vault revoked the token"}
	add("credentials-revoked", taken, page)

	denied := ended(gatekeeper.Denied)
	denied.Votes = []gatekeeper.Vote{vote("U0CAROL", "Carol", gatekeeper.Deny, 5*time.Minute)}
	denied.DenyReason = "Not on a Friday"
	add("denied", denied, page)

	revoked := approved()
	revoked.State, revoked.DenyReason, revoked.DecidedAt = gatekeeper.Revoked, "", start().Add(8*time.Minute)
	revoked.Votes = append(revoked.Votes, vote("U0CAROL", "Carol", gatekeeper.Revoke, 8*time.Minute))
	add("revoked", revoked, page)

	glass := pending("req_1")
	glass.BreakGlass = &gatekeeper.BreakGlass{Group: gatekeeper.Group{Name: "break-glass", Approvers: []gatekeeper.Approver{"slack:S0ONCALL"}, Quorum: 1}, Channel: "C0SECURITY"}
	add("pending-glass", glass, page)
	frozen := glass
	frozen.Freeze, frozen.Rule.Approval.BreakGlassOnly = "year-end", true
	add("pending-frozen", frozen, page)
	broken := frozen
	broken.State, broken.BrokenGlass, broken.DecidedAt, broken.RedeemBefore = gatekeeper.Approved, true, start().Add(3*time.Minute), start().Add(18*time.Minute)
	broken.Votes = []gatekeeper.Vote{vote("U0CAROL", "Carol", gatekeeper.Approve, 3*time.Minute)}
	broken.Votes[0].BreakGlass, broken.Votes[0].Reason = true, "Checkout is down"
	add("approved-glass", broken, page)

	risky := pending("req_1")
	risky.Workload.Runner, risky.Workload.Event, risky.Workload.Claims = "self-hosted", "pull_request_target", map[string]any{"ref_protected": "false"}
	risky.Workload.Workflow, risky.Rule.Approval.SelfApproval = "evil/actions/.github/workflows/deploy.yml@refs/heads/main", true
	add("pending-risky", risky, page)

	none := ended(gatekeeper.Approved)
	none.Rule.Approval, none.Rule.Notify.AutoApproved = gatekeeper.Approval{None: true, StepUp: gatekeeper.StepUpNone}, true
	none.RedeemBefore = start().Add(20 * time.Minute)
	add("auto-approved", none, page)

	add("expired", ended(gatekeeper.Expired), page)
	add("canceled", ended(gatekeeper.Canceled), page)
	add("superseded", ended(gatekeeper.Superseded), page)
	return all
}

func TestMessages(t *testing.T) {
	for name, m := range messages() {
		t.Run(name, func(t *testing.T) {
			got := golden(t, Render(m.r, m.v))
			file := filepath.Join("testdata", "message", name+".json")
			if *rewrite {
				if err := os.WriteFile(file, got, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("-want +got (go test -rewrite, then read the diff):\n%s", diff)
			}
		})
	}
}

func golden(t testing.TB, m Message) []byte {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(map[string]any{"text": m.Text, "blocks": m.Blocks, "metadata": m.Metadata}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Only what is still possible is offered, in every state.
func TestButtonsFollowTheState(t *testing.T) {
	for name, m := range messages() {
		var got []string
		for _, b := range buttons(m.r, m.v) {
			got = append(got, b.(*slackgo.ButtonBlockElement).ActionID)
		}
		want := []string{actionDetails}
		switch {
		case name == "pending-glass":
			want = []string{actionApprove, actionDeny, actionDetails, actionBreakGlass}
		case name == "pending-frozen":
			want = []string{actionDeny, actionDetails, actionBreakGlass}
		case name == "approved-glass":
			want = []string{actionRevoke, actionDetails}
		case strings.HasPrefix(name, "pending"):
			want = []string{actionApprove, actionDeny, actionDetails}
		case name == "approved":
			want = []string{actionRevoke, actionDetails}
		case name == "redeemed-living", name == "credentials-revoked": // what failed may be asked for once more
			want = []string{actionRevokeCredentials, actionDetails}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestWhoCannotBeToldApartIsSaidBeforehand(t *testing.T) {
	said := func(r gatekeeper.Request) bool { return len(warnings(r)) > 0 }
	unknown := pending("req_1")
	unknown.Initiators.Known = false
	if !said(unknown) || said(pending("req_1")) {
		t.Error("an unknown initiator is not told, or a known one is")
	}
	unknown.Rule.Approval.SelfApproval = true
	if said(unknown) {
		t.Error("a rule that allows self-approval warns")
	}
}

// Threats row 29: whatever the texts are, Slack's limits hold, and sha and
// environment are whole.
func TestLimits(t *testing.T) {
	long := strings.Repeat("漢字😀*", 800)
	r := approved()
	r.Environment = "production-" + strings.Repeat("e", 244) // GitHub's own limit is 255
	r.Reason, r.DenyReason, r.Freeze, r.Rule.Name = long, long, long, long
	r.Workload.Repository, r.Workload.Ref, r.Workload.Actor = "acme/"+long, long, long
	r.Rule.Approval.Groups = nil
	for range 60 {
		r.Rule.Approval.Groups = append(r.Rule.Approval.Groups, gatekeeper.Group{Name: long, Quorum: 2, Approvers: []gatekeeper.Approver{"slack:S0RELEASE"}})
		r.Votes = append(r.Votes, vote("U0BOB", long, gatekeeper.Approve, 0), vote("no id", long, gatekeeper.Approve, 0))
		r.Redemptions = append(r.Redemptions, gatekeeper.Redemption{Job: long, Credential: long, Detail: long, State: gatekeeper.RedemptionFailed})
		r.Redemptions = append(r.Redemptions, gatekeeper.Redemption{Job: long, Credential: long, Detail: long, State: gatekeeper.RedemptionSucceeded,
			Taken: &gatekeeper.Taken{State: gatekeeper.RevocationFailed, Detail: long, Todo: long[:1400]}})
	}
	r.TakenBack = &gatekeeper.TakenBack{By: gatekeeper.Actor{Kind: "operator", ID: long}, Reason: long}
	names := slices.Repeat([]string{long}, 50)
	c := Context{
		Title: long, More: 5, Compare: "https://x/" + long, Authors: names, Branch: long, ReRunBy: long, Diff: long,
		Pull: &Pull{Title: long, Author: long, URL: "https://x/" + long, ApprovedBy: names, ChangesWantedBy: names}, Checks: &Checks{Failed: names},
	}
	for range 100 {
		c.Commits = append(c.Commits, Commit{long, long, long})
	}
	for _, state := range []gatekeeper.State{gatekeeper.Pending, gatekeeper.Approved, gatekeeper.Denied, gatekeeper.Revoked, gatekeeper.Expired} {
		r.State = state
		for _, v := range []View{{PublicURL: "https://g", Context: &c}, {Short: true}} {
			m := Render(r, v)
			within(t, m)
			body := string(golden(t, m))
			if !strings.Contains(body, r.Environment) || !strings.Contains(body, testSHA[:7]) {
				t.Errorf("%s: environment or commit is cut", state)
			}
			if len([]rune(body)) > 30000 {
				t.Errorf("%s: %d characters of JSON", state, len(body))
			}
		}
	}
}

// within holds a message to Block Kit's documented limits.
func within(t *testing.T, m Message) {
	t.Helper()
	if len(m.Blocks) > 50 {
		t.Errorf("%d blocks", len(m.Blocks))
	}
	limit := func(what string, o *slackgo.TextBlockObject, most int) int {
		if o == nil {
			return 0
		}
		if w := width(o.Text); w < 1 || w > most {
			t.Errorf("%s of %d characters, at most %d", what, w, most)
		}
		return width(o.Text)
	}
	sum := 0
	for _, b := range m.Blocks {
		switch b := b.(type) {
		case *slackgo.HeaderBlock:
			sum += limit("header", b.Text, maxHeader)
		case *slackgo.SectionBlock:
			sum += limit("section", b.Text, 3000)
			if len(b.Fields) > maxFields {
				t.Errorf("%d fields", len(b.Fields))
			}
			for _, f := range b.Fields {
				sum += limit("field", f, maxField)
			}
		case *slackgo.ContextBlock:
			for _, e := range b.ContextElements.Elements {
				sum += limit("context", e.(*slackgo.TextBlockObject), 3000)
			}
		}
	}
	// Measured by others at about 13,200 with a share for each object.
	if sum += 30 * strings.Count(string(golden(t, m)), `"type": `); sum > 13000 {
		t.Errorf("%d characters in all", sum)
	}
	if width(m.Text) > 3900 { // chat.update takes 4,000
		t.Errorf("fallback text of %d characters", width(m.Text))
	}
}

// Threats row 29: nobody approves an environment that cannot be read whole.
func TestEnvironmentThatCannotBeShownCannotBeApproved(t *testing.T) {
	r := pending("req_1")
	r.Environment = strings.Repeat("e", maxField+1)
	m := Render(r, View{})
	within(t, m)
	if body := string(golden(t, m)); strings.Contains(body, actionApprove) || !strings.Contains(body, "too long") {
		t.Errorf("offers to approve: %s", body)
	}
}

func BenchmarkRender(b *testing.B) {
	r := approved()
	for b.Loop() {
		if Render(r, View{PublicURL: "https://g"}).fingerprint() == "" {
			b.Fatal("no message")
		}
	}
}

func TestWhatAnApprovalGives(t *testing.T) {
	for want, c := range map[string]gatekeeper.CredentialSpec{
		"AWS role deploy, 15m": {AWS: &gatekeeper.AWSSpec{RoleARN: "arn:aws:iam::111122223333:role/deploy", SessionDuration: 15 * time.Minute}},
		"AWS role ops/x, 1h":   {AWS: &gatekeeper.AWSSpec{RoleARN: "arn:aws:iam::111122223333:role/ops/x", SessionDuration: time.Hour}},
		"Google Cloud service account d@p.iam.gserviceaccount.com": {GCP: &gatekeeper.GCPSpec{ServiceAccount: "d@p.iam.gserviceaccount.com"}},
		"Vault role kv-read":             {Vault: &gatekeeper.VaultSpec{Role: "kv-read"}},
		"a token for https://deploy.com": {OIDC: &gatekeeper.OIDCSpec{Audience: "https://deploy.com"}},
		"other":                          {Type: "other"},
	} {
		if got := credential(c); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
