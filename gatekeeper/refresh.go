package gatekeeper

import "time"

// redeemUntil is when the job's time to obtain the credential is over. People
// approve for validFor. A job that obtained the credential within that time
// may obtain it again, as often as redemptions says, until validFor after its
// last session ends: sessions outlive approvals, and jobs outlive sessions.
// Nothing else is carried over: rules, freezes and approvers are looked at
// again each time (threats rows 30 and 34), and no other job gains by it.
func (r Request) redeemUntil(job, credential string, validFor time.Duration) time.Time {
	until := r.DecidedAt.Add(validFor)
	for _, d := range r.attempts(job, credential) {
		if end := d.ExpiresAt.Add(validFor); d.State == RedemptionSucceeded && !d.ExpiresAt.IsZero() && end.After(until) {
			until = end
		}
	}
	return until
}

// refreshes says whether the workload's job may obtain some credential again
// although the approval lapsed for everybody else.
func (r Request) refreshes(w Workload, now time.Time) bool {
	if r.State != Approved || r.BelongsTo(w) != nil {
		return false
	}
	for _, c := range r.Credentials {
		got := 0
		for _, d := range r.attempts(JobKey(w), c.Name) {
			if d.State == RedemptionSucceeded {
				got++
			}
		}
		left := got < r.Rule.Approval.Redemptions
		if got > 0 && left && now.Before(r.redeemUntil(JobKey(w), c.Name, r.Rule.Approval.ValidFor)) {
			return true
		}
	}
	return false
}
