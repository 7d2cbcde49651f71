package ciissuer

import (
	"crypto/rsa"
	"net"
	"net/http"
	"sync"
	"time"
)

// Options of an issuer; the zero value is a working one.
type Options struct {
	Key *rsa.PrivateKey  // nil: a new one of 2048 bits
	Now func() time.Time // nil: time.Now
	TTL time.Duration    // of tokens; 0: 5 minutes, as GitHub's
	URL string           // as seen from outside, where a proxy stands before it; "": its own

	Addr string // host:port on loopback; "": 127.0.0.1 and a free port
}

// Issuer is the stand-in. It is safe for concurrent use.
type Issuer struct {
	o       Options
	server  *http.Server
	address string

	mu          sync.Mutex
	keys        []signingKey // published; the last one signs
	made        int          // keys ever made: a kid is never used again
	published   []byte       // answered for the key set instead of keys, where not nil
	fault       Fault
	changed     chan struct{} // closed when the fault changes
	fetches     int
	discoveries int
	jobs        map[string]map[string]any // request token → claims
}

// Start runs an issuer on loopback until Close.
func Start(o Options) (*Issuer, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.TTL == 0 {
		o.TTL = 5 * time.Minute
	}
	i := &Issuer{o: o, jobs: map[string]map[string]any{}, changed: make(chan struct{})}
	if err := i.rotate(o.Key); err != nil {
		return nil, err
	}
	if o.Addr == "" {
		o.Addr = "127.0.0.1:0"
	}
	listener, err := net.Listen("tcp", o.Addr)
	if err != nil {
		return nil, err
	}
	i.address = listener.Addr().String()
	i.server = &http.Server{Handler: i.routes(), ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = i.server.Serve(listener) }() // ends with Close, and says nothing else
	return i, nil
}

func (i *Issuer) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", i.discovery)
	mux.HandleFunc("GET /.well-known/jwks", i.jwks)
	mux.HandleFunc("GET /token", i.mint)
	return mux
}

// URL is the issuer, as in the tokens' iss.
func (i *Issuer) URL() string {
	if i.o.URL != "" {
		return i.o.URL
	}
	return "http://" + i.address
}

// Handler is the issuer, for a proxy before it.
func (i *Issuer) Handler() http.Handler { return i.server.Handler }

// Close stops it and hangs up on whoever still waits.
func (i *Issuer) Close() { _ = i.server.Close() }
