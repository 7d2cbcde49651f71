package gatekeeper

import "testing"

func TestBySubject(t *testing.T) {
	people := People{
		{Name: "Alice", Slack: "U0ALICE", Email: "alice@acme.com"},
		{Name: "Bob", Slack: "U0BOB", Email: "bob@acme.com", Subject: "idp|bob"},
		{Name: "Carol", Email: "carol@acme.com"},
		{Name: "Twin", Slack: "U0TWIN1", Email: "twin@acme.com"},
		{Name: "Twin", Slack: "U0TWIN2", Email: "TWIN@acme.com"},
	}
	for name, c := range map[string]struct{ subject, email, want string }{
		"email":                     {"idp|1", "Alice@acme.com", "U0ALICE"},
		"subject":                   {"idp|bob", "other@acme.com", "U0BOB"},
		"email of one with subject": {"idp|evil", "bob@acme.com", ""},
		"no slack account":          {"idp|2", "carol@acme.com", ""},
		"two with one address":      {"idp|3", "twin@acme.com", ""},
		"nobody":                    {"", "", ""},
		"stranger":                  {"idp|4", "eve@evil.io", ""},
	} {
		e, ok := people.BySubject(c.subject, c.email)
		if got := e.Slack; ok != (c.want != "") || ok && got != c.want {
			t.Errorf("%s: %q, %v", name, got, ok)
		}
	}
}
