// Package api is the HTTP API of the CI steps: the server, the client that
// `gatekeeper request` uses, and openapi.yaml.
package api

import (
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// Request is a request as the API shows it.
type Request struct {
	ID           string           `json:"id"`
	State        gatekeeper.State `json:"state"`
	Environment  string           `json:"environment"`
	Rule         string           `json:"rule"`
	Reason       string           `json:"reason"`
	Workload     Workload         `json:"workload"`
	Approval     Approval         `json:"approval"`
	Credentials  []Spec           `json:"credentials"`
	CreatedAt    time.Time        `json:"created_at"`
	ExpiresAt    time.Time        `json:"expires_at"`
	RedeemBefore *time.Time       `json:"redeem_before"` // null until it is approved
	URL          string           `json:"url"`
}

// Workload is who asks.
type Workload struct {
	Issuer     string `json:"issuer"` // the token's iss
	Subject    string `json:"subject"`
	Repository string `json:"repository"`
	Ref        string `json:"ref"`
	SHA        string `json:"sha"`
	Actor      string `json:"actor"`
	RunURL     string `json:"run_url"`
}

// Approval is how far people are.
type Approval struct {
	Quorum     int     `json:"quorum"`
	ApprovedBy []Voter `json:"approved_by"`
	DeniedBy   *Voter  `json:"denied_by"`
	DenyReason string  `json:"deny_reason"`
	BreakGlass bool    `json:"break_glass,omitempty"` // approved in an emergency
}

// Voter is a person who voted.
type Voter struct {
	Slack string    `json:"slack"`
	Name  string    `json:"name"`
	At    time.Time `json:"at"`
}

// Spec is a credential that can be redeemed.
type Spec struct {
	Name                 string `json:"name"`
	Type                 string `json:"type"`
	SubjectTokenAudience string `json:"subject_token_audience,omitempty"`
}

// OpenBody is the body of POST /v1/requests.
type OpenBody struct {
	Environment string   `json:"environment"`
	Credentials []string `json:"credentials"`
	Reason      string   `json:"reason"`
}

// RedeemBody is the body of POST /v1/requests/{id}/credentials.
type RedeemBody struct {
	Name         string `json:"name"`
	SubjectToken string `json:"subject_token"`
}

// ErrorBody is every error's body.
type ErrorBody struct {
	Error       gatekeeper.Code `json:"error"`
	Description string          `json:"error_description"`
	RequestID   string          `json:"request_id"` // of the call, as in the gatekeeper's log
}

// FromRequest is the outside of a request; url is the gatekeeper's own.
func FromRequest(r gatekeeper.Request, url string) Request {
	out := Request{
		ID: r.ID, State: r.State, Environment: r.Environment, Rule: r.Rule.Name, Reason: r.Reason,
		Workload: Workload{
			Issuer: r.Workload.IssuerURL, Subject: r.Workload.Subject, Repository: r.Workload.Repository,
			Ref: r.Workload.Ref, SHA: r.Workload.SHA, Actor: r.Workload.Actor, RunURL: r.Workload.RunURL,
		},
		Approval:    Approval{Quorum: r.Quorum(), ApprovedBy: []Voter{}, DenyReason: r.DenyReason, BreakGlass: r.BrokenGlass},
		Credentials: []Spec{}, CreatedAt: r.CreatedAt.UTC(), ExpiresAt: r.ExpiresAt.UTC(), URL: url + "/requests/" + r.ID,
	}
	for _, v := range r.ApprovedBy() {
		out.Approval.ApprovedBy = append(out.Approval.ApprovedBy, voter(v))
	}
	if v := r.DeniedBy(); v != nil {
		by := voter(*v)
		out.Approval.DeniedBy = &by
	}
	for _, c := range r.Credentials {
		out.Credentials = append(out.Credentials, Spec{c.Name, c.Type, c.SubjectTokenAudience()})
	}
	if !r.RedeemBefore.IsZero() {
		at := r.RedeemBefore.UTC()
		out.RedeemBefore = &at
	}
	return out
}

func voter(v gatekeeper.Vote) Voter {
	return Voter{Slack: v.Person.Slack, Name: v.Person.Name, At: v.At.UTC()}
}
