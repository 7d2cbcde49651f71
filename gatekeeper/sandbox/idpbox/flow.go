package idpbox

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

var page = template.Must(template.New("").Parse(`<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>Acme sign-in</title>
<style>:root{color-scheme:light dark}body{font:1rem/1.5 system-ui;max-width:22rem;margin:12vh auto;padding:0 1rem}button{display:block;width:100%;font:inherit;padding:.7rem;margin:.5rem 0}</style>
<h1>Acme sign-in</h1><p>Who are you?</p><form method="post" action="/authorize?{{.Query}}">{{range .Users}}<button name="sub" value="{{.Subject}}">{{.Name}}</button>{{end}}</form></html>`))

// authorize holds the request to the code flow with PKCE before anybody is
// asked anything (RFC 6749 section 4.1.1, RFC 7636).
func (i *IdP) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if q.Get("client_id") != ClientID || q.Get("redirect_uri") != i.redirect { // never redirected to
		http.Error(w, "unknown client or redirect_uri", http.StatusBadRequest)
		return
	}
	scopes := strings.Fields(q.Get("scope"))
	if q.Get("response_type") != "code" || !slices.Contains(scopes, "openid") || q.Get("code_challenge_method") != "S256" || len(q.Get("code_challenge")) != 43 || q.Get("state") == "" {
		i.back(w, r, url.Values{"error": {"invalid_request"}})
		return
	}
	i.mu.Lock()
	auto, current := i.auto, i.current
	i.mu.Unlock()
	again := q.Get("prompt") == "login" || q.Get("max_age") == "0"
	switch {
	case auto != "":
		i.signIn(w, r, auto, again || current != auto)
	case current != "" && !again:
		i.signIn(w, r, current, false)
	default:
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_ = page.Execute(w, struct {
			Query template.URL
			Users []User
		}{template.URL(r.URL.RawQuery), i.users})
	}
}

// chosen is a click on somebody's button.
func (i *IdP) chosen(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Get("redirect_uri") != i.redirect {
		http.Error(w, "unknown redirect_uri", http.StatusBadRequest)
		return
	}
	i.signIn(w, r, r.PostFormValue("sub"), true)
}

func (i *IdP) signIn(w http.ResponseWriter, r *http.Request, subject string, anew bool) {
	at := slices.IndexFunc(i.users, func(u User) bool { return u.Subject == subject })
	if at < 0 {
		i.back(w, r, url.Values{"error": {"access_denied"}})
		return
	}
	q, code := r.URL.Query(), rand.Text()
	i.mu.Lock()
	if anew || i.current != subject {
		i.current, i.since = subject, time.Now()
	}
	i.codes[code] = grant{i.users[at], q.Get("nonce"), q.Get("code_challenge"), i.since, time.Now().Add(time.Minute)}
	i.mu.Unlock()
	i.back(w, r, url.Values{"code": {code}})
}

func (i *IdP) back(w http.ResponseWriter, r *http.Request, with url.Values) {
	with.Set("state", r.URL.Query().Get("state"))
	http.Redirect(w, r, i.redirect+"?"+with.Encode(), http.StatusSeeOther)
}

// token takes a code once, from the client that knows its secret and the
// verifier of the challenge.
func (i *IdP) token(w http.ResponseWriter, r *http.Request) {
	id, secret, basic := r.BasicAuth()
	if !basic {
		id, secret = r.PostFormValue("client_id"), r.PostFormValue("client_secret")
	}
	if id != ClientID || secret != ClientSecret {
		answer(w, http.StatusUnauthorized, map[string]string{"error": "invalid_client"})
		return
	}
	i.mu.Lock()
	g, ok := i.codes[r.PostFormValue("code")]
	delete(i.codes, r.PostFormValue("code"))
	i.mu.Unlock()
	sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	switch {
	case r.PostFormValue("grant_type") != "authorization_code":
		answer(w, http.StatusBadRequest, map[string]string{"error": "unsupported_grant_type"})
		return
	case !ok || time.Now().After(g.expires) || r.PostFormValue("redirect_uri") != i.redirect || base64.RawURLEncoding.EncodeToString(sum[:]) != g.challenge:
		answer(w, http.StatusBadRequest, map[string]string{"error": "invalid_grant"})
		return
	}
	token, err := i.idToken(g)
	if err != nil {
		answer(w, http.StatusInternalServerError, map[string]string{"error": "server_error"})
		return
	}
	answer(w, http.StatusOK, map[string]any{"access_token": rand.Text(), "token_type": "Bearer", "expires_in": 300, "id_token": token})
}
