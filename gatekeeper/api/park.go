package api

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

// later is an answer that has to be waited for. ctx ends when the caller hangs
// up or the server stops.
type later func(ctx context.Context, w http.ResponseWriter) (status int, body any, err error)

// writeTime bounds how long a caller may take to read its answer.
const writeTime = 10 * time.Second

// park lets a call wait with its bare connection. What net/http keeps for a
// call (two buffers, headers, a token of 2 KiB, a stack that grew while the
// token was verified) is some 70 KiB, and thousands of steps wait for people
// at once. The connection is closed behind the answer, at most a minute later.
func (s *server) park(c *call, r *http.Request, l later) {
	if s.Parked == nil {
		s.wait(c, r, l)
		return
	}
	conn, _, err := http.NewResponseController(c.ResponseWriter).Hijack()
	if err != nil { // HTTP/2 has no connection to take
		s.wait(c, r, l)
		return
	}
	c.parked = true
	apart := &call{ResponseWriter: &apart{conn: conn, header: c.Header()}, id: c.id, route: c.route, began: c.began}
	// Of the call itself, only what logs and traces want is kept.
	ctx, hungUp := context.WithCancel(context.WithoutCancel(r.Context()))
	kept := (&http.Request{Method: r.Method, URL: &url.URL{Path: r.URL.Path}}).WithContext(ctx)
	go func() {
		_, _ = conn.Read(make([]byte, 1)) // nothing is due from it but its end
		hungUp()
	}()
	s.Parked.Go(func() {
		defer conn.Close()
		defer s.answered(apart, kept)
		s.wait(apart, kept, l)
	})
}

func (s *server) wait(c *call, r *http.Request, l later) {
	ctx, stop := s.drained(r.Context())
	defer stop()
	status, body, err := l(ctx, c)
	s.answer(c, r, status, body, err)
}

// apart writes the answer of a parked call, which is one Write.
type apart struct {
	conn   net.Conn
	header http.Header
	status int
}

func (a *apart) Header() http.Header { return a.header }

func (a *apart) WriteHeader(status int) { a.status = status }

func (a *apart) Write(body []byte) (int, error) {
	a.header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	answer := http.Response{
		StatusCode: a.status, ProtoMajor: 1, ProtoMinor: 1, Header: a.header,
		ContentLength: int64(len(body)), Body: io.NopCloser(bytes.NewReader(body)), Close: true,
	}
	var whole bytes.Buffer
	if err := answer.Write(&whole); err != nil {
		return 0, err
	}
	_ = a.conn.SetWriteDeadline(time.Now().Add(writeTime))
	_, err := a.conn.Write(whole.Bytes())
	return len(body), err
}
