package rules

import (
	"regexp"
	"strings"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/conf"
)

// What Google's service account credentials take
// (https://cloud.google.com/iam/docs/create-short-lived-credentials-direct and
// https://google.aip.dev/auth/4117): 12 hours only where an organisation
// policy allows it.
const (
	minGCPLifetime  = 10 * time.Minute
	gcpLifetime     = time.Hour
	maxGCPLifetime  = 12 * time.Hour
	gcpResource     = "//iam.googleapis.com/"
	cloudPlatform   = "https://www.googleapis.com/auth/cloud-platform"
	providerExample = "projects/123456789/locations/global/workloadIdentityPools/gatekeeper/providers/gatekeeper"
)

var (
	// https://cloud.google.com/iam/docs/reference/rest/v1/projects.locations.workloadIdentityPools.providers
	gcpProvider = regexp.MustCompile(`^projects/\d{1,20}/locations/global/workloadIdentityPools/[a-z][a-z0-9-]{3,31}/providers/[a-z][a-z0-9-]{3,31}$`)
	gcpAccount  = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}@([a-z0-9.-]+\.iam|developer|appspot|cloudservices)\.gserviceaccount\.com$`)
	gcpProject  = regexp.MustCompile(`^([a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]$`)
	gcpScope    = regexp.MustCompile(`^https://[!-~]{1,200}$`)
	projectOf   = regexp.MustCompile(`@([a-z][a-z0-9-]{4,28}[a-z0-9])\.iam\.gserviceaccount\.com$`)
)

func gcpSpec(o *conf.Object) *gatekeeper.GCPSpec {
	s := &gatekeeper.GCPSpec{
		Provider:        gcpProviderName(o.Get("workload_identity_provider")),
		ServiceAccount:  shaped(o.Get("service_account"), gcpAccount, "deploy@project.iam.gserviceaccount.com", false),
		ProjectID:       shaped(o.Get("project_id"), gcpProject, "a project id such as acme-payments", false),
		IDTokenAudience: audience(o.Get("id_token_audience"), ""),
		Exchange:        tokenWay(o.Get("exchange")),
		Lifetime:        o.Get("lifetime").Duration(gcpLifetime),
	}
	s.Audience = audience(o.Get("audience"), "https:"+gcpResource+s.Provider)
	for _, item := range o.Get("scopes").Items() {
		s.Scopes = append(s.Scopes, shaped(item, gcpScope, "a scope such as "+cloudPlatform, true))
	}
	if s.Scopes == nil {
		s.Scopes = []string{cloudPlatform}
	}
	if found := projectOf.FindStringSubmatch(s.ServiceAccount); found != nil && s.ProjectID == "" {
		s.ProjectID = found[1]
	}
	gcpLifetimes(o, s)
	return s
}

// gcpLifetimes: only a service account's token has a lifetime to choose, and
// only a service account has ID tokens.
func gcpLifetimes(o *conf.Object, s *gatekeeper.GCPSpec) {
	lifetime := o.Get("lifetime")
	if s.ServiceAccount == "" {
		if s.Lifetime = 0; lifetime.Present() {
			lifetime.Fault("is for a service_account's token only; the federated identity's own lives as long as Google says")
		}
		if s.IDTokenAudience != "" {
			o.Get("id_token_audience").Fault("needs a service_account; the federated identity has no ID tokens")
		}
		return
	}
	switch {
	case s.Lifetime < minGCPLifetime || s.Lifetime > maxGCPLifetime:
		lifetime.Fault("%s was found; Google takes %s to %s", s.Lifetime, minGCPLifetime, maxGCPLifetime)
	case s.Lifetime > gcpLifetime:
		lifetime.Warn("more than %s needs the organisation policy constraints/iam.allowServiceAccountCredentialLifetimeExtension for %s", gcpLifetime, s.ServiceAccount)
	}
}

// gcpProviderName is the name with or without its service in front.
func gcpProviderName(v conf.Value) string {
	name := v.Required()
	for _, prefix := range []string{"https:" + gcpResource, gcpResource} {
		name = strings.TrimPrefix(name, prefix)
	}
	if name != "" && !gcpProvider.MatchString(name) {
		v.Fault("%q was found; the full name is wanted, with the project's number: %s", name, providerExample)
	}
	return name
}

var (
	guid = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)
	// Client credentials take one resource, with all that the application may
	// (https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow).
	azureScope = regexp.MustCompile(`^(https|api)://[!-~]{1,200}/\.default$|^[0-9a-fA-F-]{36}/\.default$`)
)

const guidExample = "an id such as 00000000-0000-0000-0000-000000000000"

func azureSpec(o *conf.Object) *gatekeeper.AzureSpec {
	s := &gatekeeper.AzureSpec{
		TenantID:       strings.ToLower(shaped(o.Get("tenant_id"), guid, guidExample, true)),
		ClientID:       strings.ToLower(shaped(o.Get("client_id"), guid, guidExample, true)),
		SubscriptionID: strings.ToLower(shaped(o.Get("subscription_id"), guid, guidExample, false)),
		Scope:          "https://management.azure.com/.default",
		Exchange:       tokenWay(o.Get("exchange")),
		Audience:       audience(o.Get("audience"), "api://AzureADTokenExchange"),
	}
	if scope := o.Get("scope"); scope.Present() {
		s.Scope = shaped(scope, azureScope, "RESOURCE/.default, such as https://management.azure.com/.default,", true)
	}
	return s
}
