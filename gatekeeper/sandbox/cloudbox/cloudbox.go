// Package cloudbox is what the stand-ins of clouds share: a server on loopback
// that counts, that can be told to fail in each way a cloud can, and that
// verifies OIDC tokens against their issuer's keys as clouds do.
package cloudbox

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
)

// Fault is what a call answers instead.
type Fault struct {
	Path   string // the call whose path, or target at AWS, contains it; "": any
	Status int    // with no Body, 0 closes the connection
	Body   string
	Header map[string]string
	After  bool // it acts first: its answer is lost
	Hang   bool // no answer until the caller hangs up
	Echo   bool // answers with all that it was sent
}

// Box is the server before a stand-in.
type Box struct {
	server *httptest.Server
	act    http.Handler

	mu     sync.Mutex
	faults []Fault
	paths  []string
	issued []string
	hung   chan struct{}
}

// Start serves what act does until Close.
func Start(act http.Handler) *Box {
	b := &Box{act: act, hung: make(chan struct{}, 64)}
	b.server = httptest.NewServer(http.HandlerFunc(b.serve))
	return b
}

// URL is its address.
func (b *Box) URL() string { return b.server.URL }

// Close stops it and hangs up on whoever waits.
func (b *Box) Close() {
	b.server.CloseClientConnections()
	b.server.Close()
}

// Fail makes the next calls go wrong, one each.
func (b *Box) Fail(faults ...Fault) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.faults = append(b.faults, faults...)
}

// Calls is how often a path that contains part was called; "" counts all.
func (b *Box) Calls(part string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for _, path := range b.paths {
		if strings.Contains(path, part) {
			n++
		}
	}
	return n
}

// Hung receives each time a caller waits for an answer that does not come.
func (b *Box) Hung() <-chan struct{} { return b.hung }

// Issue makes a secret and remembers it.
func (b *Box) Issue(prefix string) string {
	secret := prefix + rand.Text() + rand.Text()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.issued = append(b.issued, secret)
	return secret
}

// Issued are all secrets that were made.
func (b *Box) Issued() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.issued...)
}

func (b *Box) serve(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body) // a server notices a client that hangs up only once the body was read
	r.Body = io.NopCloser(bytes.NewReader(body))
	fault := b.next(r.URL.Path + r.Header.Get("X-Amz-Target"))
	switch {
	case fault == nil:
		b.act.ServeHTTP(w, r)
	case fault.Hang:
		b.hung <- struct{}{}
		<-r.Context().Done()
	default:
		if fault.After {
			b.act.ServeHTTP(httptest.NewRecorder(), r)
		}
		fault.answer(w, r, body)
	}
}

func (b *Box) next(path string) *Fault {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.paths = append(b.paths, path)
	for i, f := range b.faults {
		if strings.Contains(path, f.Path) {
			b.faults = append(b.faults[:i:i], b.faults[i+1:]...)
			return &f
		}
	}
	return nil
}

func (f Fault) answer(w http.ResponseWriter, r *http.Request, sent []byte) {
	if f.Status == 0 && f.Body == "" && !f.Echo {
		panic(http.ErrAbortHandler)
	}
	for name, value := range f.Header {
		w.Header().Set(name, value)
	}
	if f.Status != 0 {
		w.WriteHeader(f.Status)
	}
	body := f.Body
	if f.Echo {
		all, _ := json.Marshal(string(sent) + " " + r.Header.Get("Authorization") + " " + r.Header.Get("X-Vault-Token"))
		body = strings.ReplaceAll(body, `"ECHO"`, string(all))
		if f.Body == "" {
			body = string(all)
		}
	}
	_, _ = w.Write([]byte(body))
}

// Answer writes JSON.
func Answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

// Read reads JSON, and refuses fields that nobody knows.
func Read(r *http.Request, into any) error {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	return d.Decode(into)
}
