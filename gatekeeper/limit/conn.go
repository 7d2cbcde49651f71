package limit

import (
	"bytes"
	"container/list"
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"
)

// maxHeaders is the most lines that a call's header may have. Its bytes are
// net/http's to bound; but ten thousand headers of three bytes are a map of a
// megabyte.
const maxHeaders = 100

// conn is an open connection, and the one call that it carries: HTTP/1.1 has
// one at a time. What conns counts of it is guarded there; the call's own
// fields are its handler's.
type conn struct {
	net.Conn
	limiter *Limiter
	peer    netip.Addr // the group of its address
	proxied bool

	home       *crowd // its own address's; nil: a proxy's
	crowd      *crowd // nil: it is counted for no address
	queue      *list.List
	place      *list.Element
	all        *list.List // of conns
	inAll      *list.Element
	since      time.Time
	repository string
	gone       bool
	served     bool // it carried a call that ended

	client   netip.Addr // the group of who calls
	familiar uint64     // not 0: the bucket of its own that it is let in by
	admitted bool       // its token held, and was counted

	header header
}

// Listen gives the connections of l that there is room for. A connection too
// many is closed at once; nothing waits in line behind it.
func (l *Limiter) Listen(inner net.Listener) net.Listener { return &listener{inner, l} }

type listener struct {
	net.Listener
	limiter *Limiter
}

// Accept implements net.Listener.
func (n *listener) Accept() (net.Conn, error) {
	for {
		raw, err := n.Listener.Accept()
		if err != nil {
			return nil, err
		}
		at := peer(raw.RemoteAddr())
		c := &conn{Conn: raw, limiter: n.limiter, peer: group(at), proxied: n.limiter.proxied(at)}
		shed, ok := n.limiter.conns.admit(c)
		n.limiter.shed(shed)
		if ok {
			return c, nil
		}
		n.limiter.Limited(Connections)
		_ = raw.Close()
	}
}

// shed closes a connection that gave way. It is counted no more already.
func (l *Limiter) shed(c *conn) {
	if c != nil {
		l.Limited(Connections)
		_ = c.Conn.Close()
	}
}

// Close implements net.Conn.
func (c *conn) Close() error {
	c.limiter.conns.release(c)
	return c.Conn.Close()
}

var errHeaders = errors.New("limit: a call has too many headers")

// Read implements net.Conn.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if !c.header.take(p[:n]) {
		return 0, errHeaders
	}
	return n, err
}

// header counts the lines of a call's header as they come.
type header struct {
	whole atomic.Bool // it has ended; what follows is the body's
	lines int
	empty bool // nothing came of the line yet but its CR
}

// next begins with the next call's.
func (h *header) next() {
	h.lines, h.empty = 0, false
	h.whole.Store(false)
}

func (h *header) take(p []byte) bool {
	for !h.whole.Load() && len(p) > 0 {
		line, rest, ended := bytes.Cut(p, []byte("\n"))
		if len(line) > 1 || len(line) == 1 && line[0] != '\r' {
			h.empty = false
		}
		if !ended {
			break
		}
		h.whole.Store(h.empty && h.lines > 0)
		h.lines, h.empty, p = h.lines+1, true, rest
	}
	return h.lines <= maxHeaders+2 // with the call's own and the blank one
}

// Watch lets a server tell of its connections, and speak HTTP/1.1 alone: in
// HTTP/2 one connection carries any number of calls.
func (l *Limiter) Watch(server *http.Server) *http.Server {
	server.Protocols = new(http.Protocols)
	server.Protocols.SetHTTP1(true)
	server.ConnContext = func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, connKey{}, c) }
	server.ConnState = func(nc net.Conn, state http.ConnState) {
		if c, ok := nc.(*conn); ok && state == http.StateIdle {
			c.header.next()
			l.shed(l.conns.idle(c))
		}
	}
	return server
}

type connKey struct{}

// connOf is the connection that a call came over; nil where it came by
// another way.
func connOf(ctx context.Context) *conn {
	c, _ := ctx.Value(connKey{}).(*conn)
	return c
}

// CloseWrite lets net/http end an answer before it closes a connection on a
// body that it did not read: closed at once, the answer may be lost.
func (c *conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}
