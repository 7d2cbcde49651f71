package gatekeeper

import (
	"testing"
	"time"
)

// got is the request after the job obtained its credential at a time, for a
// session until end.
func got(t testing.TB, r Request, rule Rule, n string, job string, at, end time.Time) Request {
	t.Helper()
	r, err := tryRedeem(r, rule, n, job, at)
	if err != nil {
		t.Fatal(err)
	}
	r, _, err = r.Settle("red_"+n, Result{State: RedemptionSucceeded, ExpiresAt: end, Handle: "h" + n}, at)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func tryRedeem(r Request, rule Rule, n, job string, at time.Time) (Request, error) {
	c := claimOf(r, rule)
	c.ID, c.Workload.Token.ID, c.Workload.Job, c.SettleBy = "red_"+n, "jti-"+n, job, at.Add(15*time.Second)
	next, _, _, err := r.Redeem(c, at)
	return next, err
}

// A job that obtained its credential in time obtains it again until valid_for
// after its session ended, as often as redemptions says; nobody else does.
func TestRefresh(t *testing.T) {
	rule := ruleOf(release(1))
	rule.Approval.Redemptions = 3 // valid_for is 15 minutes
	approved := approvedBy(t, rule, "U0BOB")
	end := start().Add(time.Hour)
	r := got(t, approved, rule, "1", "501", redeemAt(), end)
	for name, c := range map[string]struct {
		r    Request
		rule Rule
		job  string
		at   time.Time
		code Code
	}{
		"the approval lapsed":           {r, rule, "501", start().Add(30 * time.Minute), ""},
		"the session ended just now":    {r, rule, "501", end.Add(14 * time.Minute), ""},
		"the session ended long ago":    {r, rule, "501", end.Add(15 * time.Minute), CodeExpired},
		"another job":                   {r, rule, "502", start().Add(30 * time.Minute), CodeExpired},
		"nothing was obtained in time":  {approved, rule, "501", start().Add(30 * time.Minute), CodeExpired},
		"rules in force allow for less": {r, shorter(rule, time.Minute), "501", end.Add(2 * time.Minute), CodeExpired},
		"and within that":               {r, shorter(rule, time.Minute), "501", end.Add(30 * time.Second), ""},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := tryRedeem(c.r, c.rule, "x", c.job, c.at); CodeOf(err) != c.code {
				t.Errorf("got %v, want %q", err, c.code)
			}
			w := workloadOf("alice")
			w.Job = c.job
			if again := c.r.Serves(c.at) || c.r.refreshes(w, c.at); c.rule.Approval.ValidFor > time.Minute && again != (c.code == "") {
				t.Errorf("asking again finds the request: %v", again)
			}
		})
	}
	r = got(t, r, rule, "2", "501", end, end.Add(time.Hour)) // it slides
	r = got(t, r, rule, "3", "501", end.Add(70*time.Minute), end.Add(2*time.Hour))
	if _, err := tryRedeem(r, rule, "4", "501", end.Add(119*time.Minute)); CodeOf(err) != CodeExpired {
		t.Errorf("a fourth of three: %v", err)
	}
	if w := workloadOf("alice"); r.refreshes(w, end.Add(119*time.Minute)) {
		t.Error("a request that is used up serves no more")
	}
}

func shorter(rule Rule, d time.Duration) Rule {
	rule.Approval.ValidFor = d
	return rule
}

// A session that may outlive an approval gives no time to one that never came.
func TestFailedTriesGiveNoTime(t *testing.T) {
	rule := ruleOf(release(1))
	rule.Approval.Redemptions = 3
	for _, state := range []RedemptionState{RedemptionFailed, RedemptionUnknown} {
		r, err := tryRedeem(approvedBy(t, rule, "U0BOB"), rule, "1", "501", redeemAt())
		if err != nil {
			t.Fatal(err)
		}
		if r, _, err = r.Settle("red_1", Result{State: state, ExpiresAt: start().Add(time.Hour)}, redeemAt()); err != nil {
			t.Fatal(err)
		}
		if _, err := tryRedeem(r, rule, "2", "501", start().Add(30*time.Minute)); CodeOf(err) != CodeExpired {
			t.Errorf("after a try that is %s: %v", state, err)
		}
	}
}
