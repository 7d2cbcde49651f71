package web

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/descope/virtualwebauthn"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/passkey"
)

// house is pages with as little around them as they need.
type house struct {
	t      *testing.T
	now    time.Time
	notes  map[string][]byte
	events []gatekeeper.Event
	pages  http.Handler
	opts   Options
}

const ours = "https://gatekeeper.example.com"

func build(t *testing.T) *house {
	t.Helper()
	h := &house{t: t, now: time.Now(), notes: map[string][]byte{}}
	clock := func() time.Time { return h.now }
	keys, err := passkey.New(passkey.Options{URL: ours, Store: h, Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	h.opts = Options{URL: ours, Books: h, Directory: h, Keys: keys, Now: clock, Secret: []byte("0123456789abcdef0123456789abcdef"),
		People: gatekeeper.People{{Name: "Bob", Slack: "U0BOB"}, {Name: "Carol", Slack: "U0CAROL"}}}
	if h.pages, err = Handler(h.opts); err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *house) Find(context.Context, gatekeeper.Filter) ([]gatekeeper.Request, error) {
	return nil, nil
}

func (h *house) Record(_ context.Context, c gatekeeper.Change) error {
	h.events = append(h.events, c.Events...)
	for _, n := range c.Notes {
		h.notes[n.Kind+" "+n.Key] = n.Value
	}
	return nil
}

func (h *house) Note(_ context.Context, kind, key string) ([]byte, error) {
	return h.notes[kind+" "+key], nil
}

func (h *house) NotesUnder(_ context.Context, kind, prefix string) (all []gatekeeper.Note, err error) {
	for key, value := range h.notes {
		if rest, ok := strings.CutPrefix(key, kind+" "); ok && strings.HasPrefix(rest, prefix) {
			all = append(all, gatekeeper.Note{Kind: kind, Key: rest, Value: value})
		}
	}
	return all, nil
}

func (h *house) Standing(context.Context, gatekeeper.Person) (gatekeeper.Standing, error) {
	return gatekeeper.Standing{Active: true}, nil
}

func (h *house) Member(context.Context, gatekeeper.Person, gatekeeper.Approver) (bool, error) {
	return true, nil
}

// tab is a browser: the cookies that it was given.
type tab struct {
	h       *house
	cookies map[string]string
}

func (h *house) tab() *tab { return &tab{h, map[string]string{}} }

func (b *tab) ask(method, path, body string) *http.Response {
	r := httptest.NewRequest(method, ours+path, strings.NewReader(body))
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	for name, value := range b.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	w := httptest.NewRecorder()
	b.h.pages.ServeHTTP(w, r)
	for _, c := range w.Result().Cookies() {
		if !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || !strings.HasPrefix(c.Name, "__Host-") || c.Path != "/" {
			b.h.t.Errorf("a cookie that browsers hold to nothing: %s", c)
		}
		if b.cookies[c.Name] = c.Value; c.MaxAge < 0 {
			delete(b.cookies, c.Name)
		}
	}
	return w.Result()
}

func (h *house) link(person string) string {
	text, err := Link{Do: LinkEnrol, Person: person}.Seal(h.opts.Secret, h.opts.Now)
	if err != nil {
		h.t.Fatal(err)
	}
	return "/passkeys?link=" + text
}

// enrol goes through an enrolment and gives the last answer's status.
func (b *tab) enrol() int {
	answer := b.ask(http.MethodPost, "/passkeys/options", "{}")
	if answer.StatusCode != http.StatusOK {
		return answer.StatusCode
	}
	var options json.RawMessage
	if err := json.NewDecoder(answer.Body).Decode(&options); err != nil {
		b.h.t.Fatal(err)
	}
	return b.finish(options)
}

func (b *tab) finish(options []byte) int {
	asked, err := virtualwebauthn.ParseAttestationOptions(string(options))
	if err != nil {
		b.h.t.Fatal(err)
	}
	key := virtualwebauthn.NewCredential(virtualwebauthn.KeyTypeEC2)
	for len(key.Key.AttestationData()) != 77 { // it writes coordinates that begin with zero too short
		key = virtualwebauthn.NewCredential(virtualwebauthn.KeyTypeEC2)
	}
	rp := virtualwebauthn.RelyingParty{ID: "gatekeeper.example.com", Origin: ours}
	made := virtualwebauthn.CreateAttestationResponse(rp, virtualwebauthn.NewAuthenticator(), key, *asked)
	return b.ask(http.MethodPost, "/passkeys", `{"label":"Laptop","response":`+made+`}`).StatusCode
}

// An admin's link is good once, for an hour, and for nothing but a key.
func TestLinks(t *testing.T) {
	h := build(t)
	bob, again := h.tab(), h.tab()
	link := h.link("U0BOB")
	for _, b := range []*tab{bob, again} {
		if got := b.ask(http.MethodGet, link, ""); got.StatusCode != http.StatusSeeOther || got.Header.Get("Location") != "/passkeys" {
			t.Fatalf("the link answers %d to %q", got.StatusCode, got.Header.Get("Location"))
		}
	}
	if got := bob.ask(http.MethodGet, "/requests", ""); got.StatusCode != http.StatusSeeOther {
		t.Errorf("a link shows requests: %d", got.StatusCode)
	}
	options := again.ask(http.MethodPost, "/passkeys/options", "{}")
	if status := bob.enrol(); status != http.StatusOK {
		t.Fatalf("the enrolment: %d", status)
	}
	var begun json.RawMessage
	if err := json.NewDecoder(options.Body).Decode(&begun); err != nil {
		t.Fatal(err)
	}
	if status := again.finish(begun); status != http.StatusGone {
		t.Errorf("the link was used twice: %d", status)
	}
	if status := again.enrol(); status != http.StatusGone {
		t.Errorf("the link can be begun again: %d", status)
	}
	late, stranger := h.link("U0CAROL"), h.link("U0EVE")
	h.now = h.now.Add(time.Hour)
	for name, path := range map[string]string{"an old link": late, "a stranger's link": stranger, "no link": "/passkeys?link=x"} {
		if got := h.tab().ask(http.MethodGet, path, ""); got.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %d", name, got.StatusCode)
		}
	}
	if n := len(h.events); n != 2 { // enrolled, and signed in by it
		t.Errorf("%d events", n)
	}
}

// Who finds an open browser cannot add a key of theirs.
func TestEnrolmentWantsAFreshSignIn(t *testing.T) {
	h := build(t)
	bob := h.tab()
	bob.ask(http.MethodGet, h.link("U0BOB"), "")
	if status := bob.enrol(); status != http.StatusOK {
		t.Fatalf("the first key: %d", status)
	}
	if status := bob.enrol(); status != http.StatusOK {
		t.Errorf("a second one at once: %d", status)
	}
	h.now = h.now.Add(freshTime)
	if status := bob.enrol(); status != http.StatusForbidden {
		t.Errorf("one later: %d", status)
	}
	h.now = h.now.Add(sessionTime)
	if got := bob.ask(http.MethodGet, "/passkeys", ""); got.StatusCode != http.StatusSeeOther {
		t.Errorf("a session that ended: %d", got.StatusCode)
	}
}

// Whoever left `people` is nobody at once.
func TestLeavers(t *testing.T) {
	h := build(t)
	bob := h.tab()
	bob.ask(http.MethodGet, h.link("U0BOB"), "")
	if status := bob.enrol(); status != http.StatusOK {
		t.Fatal(status)
	}
	h.opts.People = h.opts.People[1:]
	var err error
	if h.pages, err = Handler(h.opts); err != nil {
		t.Fatal(err)
	}
	if got := bob.ask(http.MethodGet, "/requests", ""); got.StatusCode != http.StatusSeeOther {
		t.Errorf("Bob still is somebody: %d", got.StatusCode)
	}
}
