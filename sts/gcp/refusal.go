package gcp

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/sts/internal/ask"
)

// stsRefusal is an OAuth error (RFC 6749 section 5.2).
func stsRefusal(body []byte) ask.Refusal {
	var e struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	if json.Unmarshal(body, &e) != nil {
		return ask.Refusal{}
	}
	r := ask.Refusal{Code: e.Error, Message: e.Description}
	switch e.Error {
	case "invalid_target":
		r.Hint = "there is no such workload identity pool provider, or it is disabled"
	case "invalid_grant":
		r.Hint = "the provider has to name the token's issuer and allow its audience, and Google has to reach the issuer's keys"
	case "unauthorized_client":
		r.Hint = "the provider's attribute condition refuses this token"
	}
	return r
}

// iamRefusal is an error of Google's APIs (https://google.aip.dev/193).
func iamRefusal(body []byte) ask.Refusal {
	var e struct {
		Error struct {
			Status  string `json:"status"`
			Message string `json:"message"`
		} `json:"error"`
	}
	if json.Unmarshal(body, &e) != nil {
		return ask.Refusal{}
	}
	r := ask.Refusal{Code: e.Error.Status, Message: e.Error.Message}
	if r.Code == "PERMISSION_DENIED" {
		r.Hint = "the service account has to grant roles/iam.workloadIdentityUser to the token's subject"
	}
	return r
}

// Revoke implements gatekeeper.Revoker. Google revokes no access token of a
// service account before it ends
// (https://cloud.google.com/iam/docs/create-short-lived-credentials-direct);
// what stops it is that the account may do nothing any more.
func (e *Exchanger) Revoke(_ context.Context, spec gatekeeper.CredentialSpec, _ gatekeeper.Redemption) (gatekeeper.Revocation, error) {
	if spec.GCP == nil {
		return gatekeeper.Revocation{}, gatekeeper.Errorf(gatekeeper.CodeInternal, "there is no Google Cloud token to revoke")
	}
	r := gatekeeper.Revocation{Detail: "Google revokes no access token before it ends: until then, only taking the account's rights stops it"}
	if account := spec.GCP.ServiceAccount; account != "" {
		r.Todo = "gcloud iam service-accounts disable " + account
	} else {
		pool, provider, _ := strings.Cut(spec.GCP.Provider, "/providers/")
		r.Todo = "gcloud iam workload-identity-pools providers disable " + provider + " --workload-identity-pool=" + pool + " --location=global"
	}
	return r, nil
}
