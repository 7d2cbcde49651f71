package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/api"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/ciissuer"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/stsbox"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
	"golang.org/x/oauth2/google/externalaccount"
)

const (
	tokenExchange = "urn:ietf:params:oauth:grant-type:token-exchange"
	jwtType       = "urn:ietf:params:oauth:token-type:jwt"
)

// standardClient is golang.org/x/oauth2 set up for RFC 8693.
func (s *stage) standardClient(change func(url.Values)) *clientcredentials.Config {
	params := url.Values{
		"grant_type": {tokenExchange}, "subject_token_type": {jwtType}, "subject_token": {s.ci.Token(s.cfg.URL, ciissuer.Defaults())},
		"cloud_token": {s.ci.Token("sts.amazonaws.com", ciissuer.Defaults())},
	}
	if change != nil {
		change(params)
	}
	return &clientcredentials.Config{
		TokenURL: s.cfg.URL + "/oauth2/token", AuthStyle: oauth2.AuthStyleInParams, EndpointParams: params,
		Scopes: []string{"environment:production", "credential:deploy"},
	}
}

func errorOf(t testing.TB, err error) string {
	t.Helper()
	var refused *oauth2.RetrieveError
	if err != nil && !errors.As(err, &refused) {
		t.Fatal(err)
	}
	if refused == nil {
		return ""
	}
	if h := refused.Response.Header; h.Get("Cache-Control") != "no-store" || h.Get("Pragma") != "no-cache" || !strings.HasPrefix(h.Get("Content-Type"), "application/json") {
		t.Errorf("headers: %v", h)
	}
	return refused.ErrorCode
}

// A client that knows RFC 8693 and nothing of us asks, is told to wait, and
// has a session once people approved.
func TestTokenExchange(t *testing.T) {
	p := play(t, nil)
	ask := func(ctx context.Context) (*oauth2.Token, error) { return p.standardClient(nil).Token(ctx) }
	if _, err := ask(t.Context()); errorOf(t, err) != "authorization_pending" {
		t.Fatalf("before anybody decided: %v", err)
	}
	if _, err := ask(t.Context()); errorOf(t, err) != "slow_down" {
		t.Fatalf("at once again: %v", err)
	}
	if err := p.decide(t.Context(), p.asked(t), "U0BOB", "approve"); err != nil {
		t.Fatal(err)
	}
	waiting := context.WithValue(t.Context(), oauth2.HTTPClient, &http.Client{Transport: patient{}})
	token, err := ask(waiting)
	if err != nil {
		t.Fatal(err)
	}
	sessions := p.sts.Sessions()
	if len(sessions) != 1 || token.AccessToken == "" || token.TokenType != "N_A" || time.Until(token.Expiry) < 14*time.Minute || time.Until(token.Expiry) > 15*time.Minute {
		t.Fatalf("%d sessions, token of type %q until %s", len(sessions), token.TokenType, token.Expiry)
	}
	if kind := token.Extra("issued_token_type"); kind != "urn:gatekeeper:token-type:aws-session" || token.Extra("scope") != "environment:production credential:deploy" {
		t.Errorf("issued_token_type %v, scope %v", kind, token.Extra("scope"))
	}
	aws := token.Extra("credential").(map[string]any)["aws"].(map[string]any)
	if aws["access_key_id"] != sessions[0].AccessKeyID || aws["session_token"] != token.AccessToken {
		t.Error("the credential is not the session's")
	}
	if _, err := ask(waiting); errorOf(t, err) != "expired_token" {
		t.Errorf("once more: %v", err)
	}
	if n := p.askedTimes(); n != 1 {
		t.Errorf("%d messages were posted, want one", n)
	}
	p.noSecrets(t, aws["secret_access_key"].(string), token.AccessToken)
	p.verified(t)
}

// patient waits inside the call.
type patient struct{}

func (patient) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Prefer", "respond-async, wait=30")
	return http.DefaultTransport.RoundTrip(r)
}

// Another client of the standard, Google's external accounts, names what it
// wants by audience and its own requested type, and waits inside its call.
func TestTokenExchangeByAudience(t *testing.T) {
	p := play(t, gatekeeperToken)
	source, err := externalaccount.NewTokenSource(context.WithValue(t.Context(), oauth2.HTTPClient, &http.Client{Transport: patient{}}), externalaccount.Config{
		Audience: "deploy", SubjectTokenType: jwtType, TokenURL: p.cfg.URL + "/oauth2/token", Scopes: []string{"environment:production"},
		SubjectTokenSupplier: supplier(func() string { return p.ci.Token(p.cfg.URL, ciissuer.Defaults()) }),
	})
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan error, 1)
	go func() { _, err := source.Token(); got <- err }()
	if err := p.decide(t.Context(), p.asked(t), "U0BOB", "approve"); err != nil {
		t.Fatal(err)
	}
	if err := <-got; err != nil || len(p.sts.Sessions()) != 1 {
		t.Fatalf("%v, %d sessions\n%s", err, len(p.sts.Sessions()), p.log)
	}
}

type supplier func() string

func (s supplier) SubjectToken(context.Context, externalaccount.SupplierOptions) (string, error) {
	return s(), nil
}

// gatekeeperToken lets the stage's role trust the gatekeeper alone.
func gatekeeperToken(s *stage) {
	s.rules(strings.Replace(stageRules, "workload_token", "gatekeeper_token", 1))
	s.sts.Provider(s.cfg.URL, "sts.amazonaws.com")
	s.sts.Role(stsbox.Role{ARN: "arn:aws:iam::111122223333:role/payments-deploy", Issuer: s.cfg.URL, Claims: map[string]string{"sub": "repo:acme/payments:environment:production"}})
}

// How people and rules turn a request down is told in the standards' words.
func TestTokenExchangeEnds(t *testing.T) {
	for name, c := range map[string]struct {
		change func(url.Values)
		decide string
		claims map[string]any
		want   string
	}{
		"denied":      {nil, "deny", nil, "access_denied"},
		"no rule":     {nil, "", map[string]any{"repository_id": "9"}, "access_denied"},
		"bad token":   {func(v url.Values) { v.Set("subject_token", "x.y.z") }, "", nil, "invalid_request"},
		"other aud":   {nil, "", map[string]any{"aud": "https://elsewhere"}, "invalid_request"},
		"cloud token": {func(v url.Values) { v.Del("cloud_token") }, "", nil, "invalid_request"},
	} {
		t.Run(name, func(t *testing.T) {
			p := play(t, nil)
			client := func() *clientcredentials.Config {
				return p.standardClient(func(v url.Values) {
					if c.claims != nil {
						v.Set("subject_token", p.ci.Token(p.cfg.URL, ciissuer.Claims(c.claims)))
					}
					if c.change != nil {
						c.change(v)
					}
				})
			}
			_, err := client().Token(t.Context())
			if c.decide != "" {
				if errorOf(t, err) != "authorization_pending" {
					t.Fatal(err)
				}
				if err := p.decide(t.Context(), p.asked(t), "U0BOB", c.decide); err != nil {
					t.Fatal(err)
				}
				_, err = client().Token(context.WithValue(t.Context(), oauth2.HTTPClient, &http.Client{Transport: patient{}}))
			}
			if got := errorOf(t, err); got != c.want {
				t.Errorf("got %q, want %q: %v", got, c.want, err)
			}
		})
	}
}

// The cloud's refusal and a lost answer are told apart.
func TestTokenExchangeFails(t *testing.T) {
	p := play(t, nil)
	if _, err := p.standardClient(nil).Token(t.Context()); errorOf(t, err) != "authorization_pending" {
		t.Fatal(err)
	}
	if err := p.decide(t.Context(), p.asked(t), "U0BOB", "approve"); err != nil {
		t.Fatal(err)
	}
	p.sts.Fail(stsbox.Fault{Status: 400, Code: "AccessDenied"}, stsbox.Fault{After: true})
	waiting := context.WithValue(t.Context(), oauth2.HTTPClient, &http.Client{Transport: patient{}})
	for _, want := range []string{"invalid_target", "temporarily_unavailable", ""} {
		if _, err := p.standardClient(nil).Token(waiting); errorOf(t, err) != want {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// Every way to get the form wrong has its error.
func TestTokenForm(t *testing.T) {
	p := play(t, nil)
	good := url.Values{
		"grant_type": {tokenExchange}, "subject_token_type": {jwtType}, "subject_token": {p.ci.Token(p.cfg.URL, ciissuer.Defaults())},
		"cloud_token": {p.ci.Token("sts.amazonaws.com", ciissuer.Defaults())}, "scope": {"environment:production"},
	}
	here := p.cfg.URL + "/environments/"
	for name, c := range map[string]struct {
		change func(url.Values)
		want   string
	}{
		"as it should be":         {func(url.Values) {}, "authorization_pending"},
		"resource":                {func(v url.Values) { v.Del("scope"); v.Set("resource", here+"production") }, "authorization_pending"},
		"resource, other case":    {func(v url.Values) { v.Set("resource", here+"PRODUCTION") }, "authorization_pending"},
		"audience":                {func(v url.Values) { v.Set("audience", "deploy") }, "authorization_pending"},
		"escaped scope":           {func(v url.Values) { v.Set("scope", "environment:%70roduction") }, "authorization_pending"},
		"unknown parameter":       {func(v url.Values) { v.Set("client_id", "x"); v.Set("foo", "bar") }, "authorization_pending"},
		"id_token":                {func(v url.Values) { v.Set("subject_token_type", "urn:ietf:params:oauth:token-type:id_token") }, "authorization_pending"},
		"no grant":                {func(v url.Values) { v.Del("grant_type") }, "invalid_request"},
		"other grant":             {func(v url.Values) { v.Set("grant_type", "client_credentials") }, "unsupported_grant_type"},
		"grant twice":             {func(v url.Values) { v.Add("grant_type", tokenExchange) }, "invalid_request"},
		"token twice":             {func(v url.Values) { v.Add("subject_token", "x") }, "invalid_request"},
		"no token":                {func(v url.Values) { v.Set("subject_token", "") }, "invalid_request"},
		"no token type":           {func(v url.Values) { v.Del("subject_token_type") }, "invalid_request"},
		"saml":                    {func(v url.Values) { v.Set("subject_token_type", "urn:ietf:params:oauth:token-type:saml2") }, "invalid_request"},
		"actor":                   {func(v url.Values) { v.Set("actor_token", "x"); v.Set("actor_token_type", jwtType) }, "invalid_request"},
		"refresh token wanted":    {func(v url.Values) { v.Set("requested_token_type", "urn:ietf:params:oauth:token-type:refresh_token") }, "invalid_request"},
		"no environment":          {func(v url.Values) { v.Del("scope") }, "invalid_request"},
		"unknown scope":           {func(v url.Values) { v.Set("scope", "environment:production openid") }, "invalid_scope"},
		"two environments":        {func(v url.Values) { v.Set("scope", "environment:a environment:b") }, "invalid_scope"},
		"empty environment":       {func(v url.Values) { v.Set("scope", "environment:") }, "invalid_scope"},
		"another's resource":      {func(v url.Values) { v.Set("resource", "https://evil.example/environments/production") }, "invalid_target"},
		"resource with a query":   {func(v url.Values) { v.Set("resource", here+"production?x=1") }, "invalid_target"},
		"resource against scope":  {func(v url.Values) { v.Set("resource", here+"staging") }, "invalid_target"},
		"two audiences":           {func(v url.Values) { v["audience"] = []string{"deploy", "other"} }, "invalid_target"},
		"audience beside scope":   {func(v url.Values) { v.Set("scope", "environment:production credential:deploy"); v.Set("audience", "x") }, "invalid_target"},
		"a credential of no rule": {func(v url.Values) { v.Set("audience", "admin") }, "access_denied"},
	} {
		t.Run(name, func(t *testing.T) {
			form := url.Values{}
			for k, v := range good {
				form[k] = append([]string(nil), v...)
			}
			c.change(form)
			status, header, body := p.form(t, "", form.Encode())
			wait := c.want == "authorization_pending"
			if body.Error == "slow_down" && wait {
				return // asked for within the seconds of another case
			}
			if status != 400 || string(body.Error) != c.want || body.Description == "" || header.Get("Cache-Control") != "no-store" {
				t.Errorf("%d %+v, want %s", status, body, c.want)
			}
			if wait && (!strings.HasPrefix(body.VerificationURI, p.cfg.URL+"/requests/req_") || body.Interval != 5) {
				t.Errorf("it does not say where people decide: %+v", body)
			}
		})
	}
	if status, _, body := p.form(t, "?subject_token=x", good.Encode()); status != 400 || body.Error != "invalid_request" {
		t.Errorf("a token in the URL: %d %+v", status, body)
	}
	if status, _, body := p.form(t, "", strings.Repeat("x", 70<<10)); status != 400 || body.Error != "invalid_request" {
		t.Errorf("a large body: %d %+v", status, body)
	}
	if status, got := p.call(t, http.MethodGet, "/oauth2/token", "x", ""); status != 405 {
		t.Errorf("GET: %d %s", status, got)
	}
	if status, got := p.call(t, http.MethodPost, "/oauth2/token", "x", `{"grant_type":"x"}`); status != 400 {
		t.Errorf("JSON: %d %s", status, got)
	}
	if status, got := p.call(t, http.MethodGet, "/.well-known/oauth-authorization-server", "x", ""); status != 200 || !strings.Contains(got, `"token_endpoint":"`+p.cfg.URL+`/oauth2/token"`) {
		t.Errorf("metadata: %d %s", status, got)
	}
}

func (s *stage) form(t testing.TB, query, body string) (int, http.Header, api.TokenError) {
	t.Helper()
	resp, err := http.Post(s.cfg.URL+"/oauth2/token"+query, "application/x-www-form-urlencoded", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, _ := io.ReadAll(resp.Body)
	var e api.TokenError
	if err := json.Unmarshal(raw, &e); err != nil {
		t.Fatalf("%s %s", resp.Status, raw)
	}
	return resp.StatusCode, resp.Header, e
}

// rules are the stage's from its start on.
func (s *stage) rules(text string) {
	if err := os.WriteFile(s.cfg.Rules, []byte(text), 0o600); err != nil {
		panic(err)
	}
}

// One approval for credentials of every kind: a standard client takes each by
// its audience, and each answer says what it is and how it is used.
func TestTokenExchangeOfEachKind(t *testing.T) {
	p := play(t, func(s *stage) { rise(t, s) })
	client := func(audience string) *clientcredentials.Config {
		c := p.standardClient(func(v url.Values) { v.Del("cloud_token"); v.Set("audience", audience) })
		c.Scopes = []string{"environment:production", "credential:aws", "credential:gcp", "credential:azure", "credential:vault", "credential:github", "credential:cluster"}
		return c
	}
	if _, err := client("gcp").Token(t.Context()); errorOf(t, err) != "authorization_pending" {
		t.Fatal(err)
	}
	if err := p.decide(t.Context(), p.asked(t), "U0BOB", "approve"); err != nil {
		t.Fatal(err)
	}
	waiting := context.WithValue(t.Context(), oauth2.HTTPClient, &http.Client{Transport: patient{}})
	const standard = "urn:ietf:params:oauth:token-type:"
	for audience, want := range map[string][2]string{
		"aws": {"urn:gatekeeper:token-type:aws-session", "N_A"}, "gcp": {standard + "access_token", "Bearer"}, "azure": {standard + "access_token", "Bearer"},
		"vault": {"urn:gatekeeper:token-type:vault-token", "N_A"}, "github": {standard + "access_token", "Bearer"}, "cluster": {standard + "jwt", "Bearer"},
	} {
		token, err := client(audience).Token(waiting)
		if err != nil {
			t.Errorf("%s: %v", audience, err)
			continue
		}
		kind := token.Extra("credential").(map[string]any)["name"]
		if token.AccessToken == "" || token.TokenType != want[1] || token.Extra("issued_token_type") != want[0] || kind != audience || !token.Expiry.After(time.Now()) {
			t.Errorf("%s: %v %v, %v until %s", audience, token.TokenType, token.Extra("issued_token_type"), kind, token.Expiry)
		}
	}
	if n := p.askedTimes(); n != 1 {
		t.Errorf("people were asked %d times", n)
	}
}
