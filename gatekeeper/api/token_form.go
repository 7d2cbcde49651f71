package api

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// The types of tokens that clients name (RFC 8693 section 3), and ours.
const (
	typeJWT         = "urn:ietf:params:oauth:token-type:jwt"
	typeIDToken     = "urn:ietf:params:oauth:token-type:id_token"
	typeAccessToken = "urn:ietf:params:oauth:token-type:access_token"
	typeAWS         = "urn:gatekeeper:token-type:aws-session"
	typeVault       = "urn:gatekeeper:token-type:vault-token"
)

// The errors of the token endpoint that the rest of the API has not (RFC 6749
// section 5.2, RFC 8693 section 2.2.2).
const (
	codeUnsupportedGrant gatekeeper.Code = "unsupported_grant_type"
	codeInvalidScope     gatekeeper.Code = "invalid_scope"
	codeInvalidTarget    gatekeeper.Code = "invalid_target"
)

// tokenAsk is what a client of the token endpoint asks for.
type tokenAsk struct {
	subject     string   // the CI's token
	cloudToken  string   // its token for the cloud, where the credential takes the CI's own
	environment string   // of resource or scope
	credentials []string // what is asked for, of scope and audience; empty: all of the rule's
	name        string   // what is handed out, of audience
	reason      string
	wait        time.Duration
}

// tokenAsk reads the form. Parameters that are not known are ignored, as RFC
// 6749 section 3.2 has it, and so is how the client authenticates: the subject
// token does. What is known has to mean something.
func (s *server) tokenAsk(w http.ResponseWriter, r *http.Request) (tokenAsk, error) {
	form, err := tokenForm(w, r)
	if err != nil {
		return tokenAsk{}, err
	}
	switch grant := form.Get("grant_type"); {
	case grant == "":
		return tokenAsk{}, invalid("grant_type is missing; it is %s", grantTokenExchange)
	case grant != grantTokenExchange:
		return tokenAsk{}, gatekeeper.Errorf(codeUnsupportedGrant, "the one grant_type here is %s", grantTokenExchange)
	}
	if err := checkTypes(form); err != nil {
		return tokenAsk{}, err
	}
	ask := tokenAsk{subject: form.Get("subject_token"), cloudToken: form.Get("cloud_token"), reason: form.Get("reason"), wait: preferWait(r)}
	for _, read := range []func(*tokenAsk, url.Values) error{readScope, s.readResource, readAudience} {
		if err := read(&ask, form); err != nil {
			return ask, err
		}
	}
	if ask.environment == "" {
		return ask, invalid("which environment is not said; scope=environment:production or resource=%s/environments/production says it", s.URL)
	}
	return ask, nil
}

func invalid(format string, args ...any) error {
	return gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, format, args...)
}

// tokenForm is the body's form: RFC 6749 section 3.2 wants each parameter
// once, takes an empty one for none, and none in the URL, which logs keep.
func tokenForm(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return nil, errMethod
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/x-www-form-urlencoded" {
		return nil, invalid("the body has to be application/x-www-form-urlencoded")
	}
	if r.URL.RawQuery != "" {
		return nil, invalid("parameters belong into the body, not into the URL")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, invalid("the body is larger than 64 KiB")
	case err != nil:
		return nil, torn(err)
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, invalid("the body is no form")
	}
	for name, values := range form {
		form[name] = slices.DeleteFunc(values, func(v string) bool { return v == "" })
		if len(form[name]) > 1 && name != "resource" && name != "audience" {
			return nil, invalid("the parameter %q stands twice", name)
		}
	}
	return form, nil
}

func checkTypes(form url.Values) error {
	switch kind := form.Get("subject_token_type"); {
	case form.Get("subject_token") == "":
		return invalid("subject_token is missing; it is the CI job's OIDC token for this gatekeeper")
	case kind != typeJWT && kind != typeIDToken:
		return invalid("subject_token_type has to be %s or %s", typeJWT, typeIDToken)
	case form.Get("actor_token") != "" || form.Get("actor_token_type") != "":
		return invalid("nobody can act for a job here, so there is no actor_token; the CI's token for a cloud goes into cloud_token")
	}
	switch form.Get("requested_token_type") {
	case "", typeAccessToken, typeJWT, typeIDToken, typeAWS, typeVault:
		return nil
	}
	return invalid("no token of this requested_token_type is issued here")
}

// readScope reads `environment:production credential:deploy`. Values are
// percent-encoded where they hold what a scope cannot (RFC 6749 section 3.3).
func readScope(ask *tokenAsk, form url.Values) error {
	for _, token := range strings.Fields(form.Get("scope")) {
		kind, value, _ := strings.Cut(token, ":")
		value, err := url.PathUnescape(value)
		switch {
		case err != nil || value == "":
			return gatekeeper.Errorf(codeInvalidScope, "%q names nothing", token)
		case kind == "environment" && ask.environment != "" && ask.environment != value:
			return gatekeeper.Errorf(codeInvalidScope, "scope names two environments, and a request is for one")
		case kind == "environment":
			ask.environment = value
		case kind == "credential":
			ask.credentials = append(ask.credentials, value)
		default:
			return gatekeeper.Errorf(codeInvalidScope, "there is no scope %q; environment:NAME and credential:NAME are", token)
		}
	}
	return nil
}

// readResource reads the environment's URL, `URL/environments/production`.
func (s *server) readResource(ask *tokenAsk, form url.Values) error {
	for _, resource := range form["resource"] {
		escaped, ours := strings.CutPrefix(resource, s.URL+"/environments/")
		name, err := url.PathUnescape(escaped)
		if !ours || err != nil || name == "" || strings.ContainsAny(escaped, "/?#") {
			return gatekeeper.Errorf(codeInvalidTarget, "resource has to be %s/environments/NAME", s.URL)
		}
		if ask.environment != "" && gatekeeper.FoldEnvironment(ask.environment) != gatekeeper.FoldEnvironment(name) {
			return gatekeeper.Errorf(codeInvalidTarget, "resource and scope name different environments")
		}
		ask.environment = name
	}
	return nil
}

// readAudience reads which credential the answer shall hold.
func readAudience(ask *tokenAsk, form url.Values) error {
	names := form["audience"]
	if len(names) > 1 {
		return gatekeeper.Errorf(codeInvalidTarget, "an answer holds one credential: ask once for each audience")
	}
	if len(names) == 0 {
		return nil
	}
	ask.name = names[0]
	if len(ask.credentials) == 0 {
		ask.credentials = names
	}
	return nil
}

// choose is the credential that the answer shall hold, and what it needs.
func (a tokenAsk) choose(r gatekeeper.Request) (gatekeeper.CredentialSpec, error) {
	name := a.name
	if name == "" && len(r.Credentials) == 1 {
		name = r.Credentials[0].Name
	}
	var names []string
	for _, c := range r.Credentials {
		names = append(names, c.Name)
	}
	spec, ok := r.Credential(name)
	switch {
	case name == "" && len(names) == 0:
		return spec, gatekeeper.Errorf(codeInvalidTarget, "rule %q gives no credentials", r.Rule.Name)
	case name == "":
		return spec, gatekeeper.Errorf(codeInvalidTarget, "an answer holds one credential: name one of %s as audience", strings.Join(names, ", "))
	case !ok:
		return spec, gatekeeper.Errorf(codeInvalidTarget, "audience names none of what scope asks for: %s", strings.Join(names, ", "))
	case spec.SubjectTokenAudience() != "" && a.cloudToken == "":
		return spec, invalid("credential %q takes the CI's own token: give the one with audience %q as cloud_token", spec.Name, spec.SubjectTokenAudience())
	}
	return spec, nil
}
