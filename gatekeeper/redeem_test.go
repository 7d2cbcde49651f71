package gatekeeper

import (
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"
)

func redeemAt() time.Time { return start().Add(2 * time.Minute) }

// Threats row 30: an approval covers exactly one run, commit and environment;
// a token that differs in any covered claim does not even see the request.
func TestRedeemWantsEachCoveredClaim(t *testing.T) {
	rule := ruleOf(release(1))
	for name, change := range map[string]func(*Workload){
		"issuer":        func(w *Workload) { w.IssuerURL = "https://ghes.acme.com/_services/token" },
		"repository":    func(w *Workload) { w.Repository = "acme/other" },
		"repository id": func(w *Workload) { w.RepositoryID = "7654321" },
		"run":           func(w *Workload) { w.RunID = "7002" },
		"attempt":       func(w *Workload) { w.RunAttempt = "2" },
		"commit":        func(w *Workload) { w.SHA = "ffff" },
		"ref":           func(w *Workload) { w.Ref = "refs/heads/evil" },
		"workflow":      func(w *Workload) { w.Workflow = "acme/payments/.github/workflows/x.yml@refs/heads/main" },
		"workflow sha":  func(w *Workload) { w.WorkflowSHA = "eeee" },
	} {
		t.Run(name, func(t *testing.T) {
			r := approvedBy(t, rule, "U0BOB")
			c := claimOf(r, rule)
			change(&c.Workload)
			if _, g, _, err := r.Redeem(c, redeemAt()); CodeOf(err) != CodeNotFound || g.Valid() {
				t.Fatalf("got %v and grant %v, want not_found and none", err, g.Valid())
			}
		})
	}
	for name, change := range map[string]func(*Request){
		"environment": func(r *Request) { r.Environment = "staging" },
		"credentials": func(r *Request) {
			other := deploy()
			other.AWS.RoleARN += "-admin"
			r.Credentials = []CredentialSpec{other}
		},
		"rule":  func(r *Request) { r.Rule.Approval.Redemptions = 5 },
		"rules": func(r *Request) { r.RulesDigest = "d2" },
	} {
		t.Run("stored "+name, func(t *testing.T) {
			r := approvedBy(t, rule, "U0BOB")
			change(&r)
			if _, g, _, err := r.Redeem(claimOf(r, rule), redeemAt()); CodeOf(err) != CodeNotFound || g.Valid() {
				t.Fatalf("got %v and grant %v, want not_found and none", err, g.Valid())
			}
		})
	}
}

// Threats row 34: rules, freezes and people are looked at again, and the
// stricter wins.
func TestRedeemDecidesAgain(t *testing.T) {
	rule := ruleOf(release(1))
	for name, c := range map[string]struct {
		change func(*Claim)
		code   Code
	}{
		"refused now":        {func(c *Claim) { c.Current = Decision{Reason: "frozen until Monday"} }, CodeAccessDenied},
		"no rule now":        {func(c *Claim) { c.Current.Rule = nil }, CodeAccessDenied},
		"two wanted now":     {func(c *Claim) { c.Current = needs(ruleOf(release(2))) }, CodeAccessDenied},
		"other group now":    {func(c *Claim) { c.Current = needs(ruleOf(Group{Approvers: []Approver{"slack:S0SEC"}, Quorum: 1})) }, CodeAccessDenied},
		"left the group":     {func(c *Claim) { c.Votes[0].Member = nil }, CodeAccessDenied},
		"deactivated since":  {func(c *Claim) { c.Votes[0].Standing = Standing{} }, CodeAccessDenied},
		"nobody looked":      {func(c *Claim) { c.Votes = nil }, CodeAccessDenied},
		"people changed":     {func(c *Claim) { c.People = People{{Slack: "U0BOB", GitHub: "alice"}} }, CodeAccessDenied},
		"reason wanted now":  {func(c *Claim) { c.Current.Rule.Approval.RequireReason = true }, CodeAccessDenied},
		"proof wanted now":   {func(c *Claim) { c.Current.Rule.Approval.StepUp = StepUpSSO }, CodeAccessDenied},
		"role changed":       {func(c *Claim) { c.Current.Rule.Credentials[0].AWS.RoleARN += "x" }, CodeAccessDenied},
		"credential removed": {func(c *Claim) { c.Current.Rule.Credentials = nil }, CodeAccessDenied},
		"valid for less":     {func(c *Claim) { c.Current.Rule.Approval.ValidFor = 30 * time.Second }, CodeExpired},
		"no redemption left": {func(c *Claim) { c.Current.Rule.Approval.Redemptions = 0 }, CodeExpired},
		"other credential":   {func(c *Claim) { c.Credential = "admin" }, CodeInvalidRequest},
		"nothing changed":    {func(*Claim) {}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := approvedBy(t, rule, "U0BOB")
			claim := claimOf(r, ruleOf(release(1)))
			c.change(&claim)
			_, g, _, err := r.Redeem(claim, redeemAt())
			if CodeOf(err) != c.code || g.Valid() != (c.code == "") {
				t.Fatalf("got %v and grant %v, want %q", err, g.Valid(), c.code)
			}
		})
	}
}

// Threats row 35: every state and time has its answer.
func TestRedeemByStateAndTime(t *testing.T) {
	rule := ruleOf(release(1))
	approved := approvedBy(t, rule, "U0BOB")
	for name, c := range map[string]struct {
		state State
		at    time.Time
		code  Code
	}{
		"pending":              {Pending, start(), CodePending},
		"pending, time over":   {Pending, start().Add(time.Hour), CodeExpired},
		"denied":               {Denied, redeemAt(), CodeAccessDenied},
		"expired":              {Expired, redeemAt(), CodeExpired},
		"canceled":             {Canceled, redeemAt(), CodeExpired},
		"superseded":           {Superseded, redeemAt(), CodeExpired},
		"revoked":              {Revoked, redeemAt(), CodeExpired},
		"no state":             {"", redeemAt(), CodeExpired},
		"approved, last blink": {Approved, approved.RedeemBefore.Add(-time.Nanosecond), ""},
		"approved, lapsed":     {Approved, approved.RedeemBefore, CodeExpired},
	} {
		t.Run(name, func(t *testing.T) {
			r := approved
			r.State = c.state
			if _, _, _, err := r.Redeem(claimOf(r, rule), c.at); CodeOf(err) != c.code {
				t.Fatalf("got %v, want %q", err, c.code)
			}
		})
	}
}

func TestRedemptionsOfOneJob(t *testing.T) {
	rule := ruleOf(release(1))
	rule.Approval.Redemptions = 2
	settle := func(r Request, id string, s RedemptionState) Request {
		r, _, err := r.Settle(id, Result{State: s}, redeemAt())
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	try := func(r Request, token, id, job string) (Request, error) {
		c := claimOf(r, rule)
		c.ID, c.Workload.Token.ID, c.Workload.Job = id, token, job
		next, _, _, err := r.Redeem(c, redeemAt().Add(-time.Second))
		return next, err
	}
	want := func(err error, code Code) {
		t.Helper()
		if CodeOf(err) != code {
			t.Fatalf("got %v, want %q", err, code)
		}
	}
	r := approvedBy(t, rule, "U0BOB")
	r, err := try(r, "t1", "red_1", "501")
	want(err, "")
	_, err = try(r, "t2", "red_x", "501")
	want(err, CodeSlowDown) // one at a time
	r = settle(r, "red_1", RedemptionSucceeded)
	_, err = try(r, "t1", "red_x", "501")
	want(err, CodeInvalidToken) // threats row 17: a token obtains a credential once
	r, err = try(r, "t2", "red_2", "501")
	want(err, "")
	r = settle(r, "red_2", RedemptionSucceeded)
	_, err = try(r, "t3", "red_x", "501")
	want(err, CodeExpired)                                   // used up
	for i, id := range []string{"red_3", "red_4", "red_5"} { // another job of the run has its own, and three tries
		r, err = try(r, "t4", id, "502")
		want(err, "")
		r = settle(r, id, []RedemptionState{RedemptionFailed, RedemptionUnknown, RedemptionFailed}[i])
	}
	_, err = try(r, "t5", "red_x", "502")
	want(err, CodeExpired)
}

// Threats row 32: a crash between asking the cloud and recording its answer
// leaves an attempt that the ledger shows as unknown.
func TestIntentLeftBehind(t *testing.T) {
	rule := ruleOf(release(1))
	r := approvedBy(t, rule, "U0BOB")
	c := claimOf(r, rule)
	r, _, _, err := r.Redeem(c, redeemAt().Add(-time.Second))
	if err != nil {
		t.Fatal(err)
	}
	c.ID, c.SettleBy = "red_2", c.SettleBy.Add(time.Minute)
	after, _, events, err := r.Redeem(c, c.SettleBy.Add(-time.Minute))
	if err != nil || events[0].Type != EventRedemptionUnknown || after.Redemptions[0].State != RedemptionUnknown {
		t.Fatalf("after its time: %v, %v", err, events)
	}
	c.Since = start().Add(110 * time.Second) // a sole process that started after that intent
	if _, _, events, err = r.Redeem(c, redeemAt().Add(-time.Second/2)); CodeOf(err) != CodeSlowDown {
		t.Fatalf("an intent younger than the process: %v %v", err, events)
	}
	c.Since = redeemAt()
	if _, _, events, err = r.Redeem(c, redeemAt().Add(-time.Second/2)); err != nil || events[0].Type != EventRedemptionUnknown {
		t.Fatalf("an intent older than the process: %v %v", err, events)
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	const secret = "canary"
	for _, c := range []Credential{
		{Type: "aws", AWS: &AWSCredential{SecretAccessKey: secret, SessionToken: secret}},
		{Type: "gcp", GCP: &GCPCredential{AccessToken: secret, IDToken: secret}},
		{Type: "azure", Azure: &AzureCredential{AccessToken: secret, FederatedToken: secret}},
		{Type: "vault", Vault: &VaultCredential{Token: secret}},
		{Type: "github", GitHub: &GitHubCredential{Token: secret}},
		{Type: "oidc", OIDC: &OIDCCredential{Token: secret}},
	} {
		inner := reflect.ValueOf(c).FieldByNameFunc(func(name string) bool { return strings.EqualFold(name, c.Type) })
		for _, v := range []any{c, &c, inner.Interface(), inner.Elem().Interface()} {
			log := &strings.Builder{}
			slog.New(slog.NewJSONHandler(log, nil)).Info("issued", "credential", v)
			told := fmt.Sprintf("%v %+v %#v %s", v, v, v, v) + log.String() + c.holder()
			if strings.Contains(told, secret) {
				t.Errorf("%s shows a secret: %s", c.Type, told)
			}
		}
	}
}

// Each type asks for a second token of the CI's in exactly one way.
func TestSubjectTokenAudience(t *testing.T) {
	for _, way := range []Exchange{ExchangeWorkloadToken, ExchangeGatekeeperToken, ExchangeAssumeRole, ""} {
		for _, spec := range []CredentialSpec{
			{AWS: &AWSSpec{Exchange: way, Audience: "aud"}}, {GCP: &GCPSpec{Exchange: way, Audience: "aud"}},
			{Azure: &AzureSpec{Exchange: way, Audience: "aud"}}, {Vault: &VaultSpec{Exchange: way, Audience: "aud"}},
		} {
			if got := spec.SubjectTokenAudience(); (got == "aud") != (way == ExchangeWorkloadToken) || spec.Way() != way {
				t.Errorf("%+v: %q by %q", spec, got, spec.Way())
			}
		}
	}
	for _, spec := range []CredentialSpec{{GitHub: &GitHubSpec{}}, {OIDC: &OIDCSpec{Audience: "aud"}}, {}} {
		if got := spec.SubjectTokenAudience(); got != "" {
			t.Errorf("%+v: %q", spec, got)
		}
	}
}
