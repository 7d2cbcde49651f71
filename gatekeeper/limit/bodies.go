package limit

import (
	"io"
	"net/http"
	"net/netip"
	"sync"
)

// smallBody is how much of each body is not counted: connections bound how
// many there are, and a job's own call has hardly more than a token.
const smallBody = 16 << 10

// shareOfBodies is the part of all that one address may hold at most.
const shareOfBodies = 16

// bodies shares out the memory that bodies take until they came whole: a
// callback has up to 1 MiB, is judged by a signature over all of it, and may
// take its time. An address has its share at most, and never more than it
// leaves: so there is always something left for who has nothing yet.
type bodies struct {
	most int

	mu   sync.Mutex
	all  int
	each map[netip.Addr]int
}

func newBodies(most int) *bodies { return &bodies{most: most, each: map[netip.Addr]int{}} }

func (b *bodies) take(a netip.Addr, n int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if mine := b.each[a] + n; mine > b.most/shareOfBodies || mine > b.most-b.all-n {
		return false
	}
	b.all += n
	b.each[a] += n
	return true
}

func (b *bodies) give(a netip.Addr, n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all -= n
	if b.each[a] -= n; b.each[a] == 0 {
		delete(b.each, a)
	}
}

// body is one that is counted as it comes.
type body struct {
	io.ReadCloser
	limiter    *Limiter
	client     netip.Addr
	answer     http.Header
	read, held int
}

// counted counts a call's body for its client until done.
func (l *Limiter) counted(w http.ResponseWriter, r *http.Request, client netip.Addr) (done func()) {
	if r.Body == nil || r.Body == http.NoBody {
		return func() {}
	}
	b := &body{ReadCloser: r.Body, limiter: l, client: client, answer: w.Header()}
	r.Body = b
	return func() {
		if b.held > 0 {
			l.bodies.give(client, b.held)
		}
	}
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.read += n
	more := b.read - smallBody - b.held
	if more <= 0 {
		return n, err
	}
	if !b.limiter.bodies.take(b.client, more) {
		b.answer.Set("Connection", "close") // what is left of it is not waited for
		return 0, b.limiter.slowDown(Address, 0, "your address sends too much at once")
	}
	b.held += more
	return n, err
}
