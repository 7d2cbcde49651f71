package trace

import (
	"bufio"
	"net"
	"net/http"
	"strconv"
	"sync"
)

// Hijack implements http.Hijacker: a call that waits for people goes on with
// its bare connection, and its span until that is closed.
func (a *answer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(a.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	a.taken = true
	return &parked{Conn: conn, answer: a}, rw, nil
}

type parked struct {
	net.Conn
	answer *answer
	once   sync.Once
}

// Write implements net.Conn. An answer begins "HTTP/1.1 200 OK" (RFC 9112
// section 4).
func (p *parked) Write(b []byte) (int, error) {
	if p.answer.status == 0 && len(b) >= len("HTTP/1.1 200") {
		p.answer.status, _ = strconv.Atoi(string(b[9:12]))
	}
	return p.Conn.Write(b)
}

// Close implements net.Conn.
func (p *parked) Close() error {
	p.once.Do(p.answer.end)
	return p.Conn.Close()
}
