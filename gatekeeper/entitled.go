package gatekeeper

import (
	"slices"
	"strings"
)

// notEntitled is what an approval needs beyond membership, by the stricter of
// both rules.
func (r Request) notEntitled(v Vote, e Electorate) string {
	if why := r.unfit(v, e); why != "" {
		return why
	}
	why, _ := r.unproven(v, e.Current)
	return why
}

// unfit says why a person's approval does not count, whatever they prove.
func (r Request) unfit(v Vote, e Electorate) string {
	for _, a := range r.approvals(e.Current) {
		why := r.tooClose(v.Person, a, e.People)
		if why == "" && a.RequireReason && v.Reason == "" {
			why = "this rule wants a reason with each approval"
		}
		if why == "" && a.StepUp != StepUpNone && a.StepUp != StepUpSSO && a.StepUp != StepUpPasskey {
			why = "this rule wants a proof beyond the click that nothing can give"
		}
		if why != "" {
			return why
		}
	}
	return ""
}

// unproven says which proof beyond the click is missing, and whether one was
// given that does not do.
func (r Request) unproven(v Vote, current Decision) (why string, given bool) {
	if v.Choice != Approve {
		return "", false
	}
	for _, a := range r.approvals(current) {
		if a.StepUp != StepUpNone && a.StepUp != v.Proof {
			return "this rule wants a proof beyond the click (step_up: " + string(a.StepUp) + ")", v.Proof != ""
		}
		if len(a.ACR) > 0 && !slices.Contains(a.ACR, v.ACR) {
			return "this rule wants a sign-in of class " + strings.Join(a.ACR, " or ") + ", and yours was of class " + orUnsaid(v.ACR), true
		}
	}
	return "", false
}

func orUnsaid(acr string) string {
	if acr == "" {
		return "unsaid"
	}
	return acr
}

// tooClose says why p may be behind what they would approve.
func (r Request) tooClose(p Person, a Approval, people People) string {
	if !a.SelfApproval {
		if why := selfApproval(p, r.Initiators, people); why != "" {
			return why
		}
	}
	if a.ExcludeAuthors {
		if why := selfApproval(p, r.Authors, people); why != "" {
			return "authors may not approve: " + why
		}
	}
	return ""
}
