package sink

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/ledger"
)

// sendTime bounds one batch, and closeTime how long the receiver takes to
// close after the last message.
const (
	sendTime  = 30 * time.Second
	closeTime = 10 * time.Second
)

// patience is how often in a row a batch is sent again to a receiver that
// lives and does not close. Then it is one that never does, and no batch would
// ever count.
const patience = 3

// Syslog sends RFC 5424 messages over TCP (RFC 6587) or TLS (RFC 5425).
//
// Syslog acknowledges nothing: what write(2) took may die with the receiver.
// So each batch has a connection of its own, which is closed on our side when
// all is written, and the batch counts as delivered when the receiver, having
// read to that end, closes too and still answers a new connection. One that
// was killed closes as well, but its port is gone by then. (Its close_notify
// would tell more, and crypto/tls does not tell it from a bare end.)
type Syslog struct {
	Addr    string      // host:port
	TLS     *tls.Config // nil: plain TCP
	Host    string      // our own name, for the header
	Version string
	Dial    func(context.Context) (net.Conn, error) // nil: to Addr

	open int // batches in a row after which the receiver did not close
}

// Send implements Out.
func (s *Syslog) Send(ctx context.Context, batch []ledger.Record) error {
	ctx, cancel := context.WithTimeout(ctx, sendTime)
	defer cancel()
	conn, err := s.dial(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	w := bufio.NewWriterSize(conn, 64<<10)
	for _, r := range batch {
		if err := frame(w, message(s.Host, s.Version, r)); err != nil {
			return err
		}
	}
	if err := errors.Join(w.Flush(), closeWrite(conn)); err != nil {
		return err
	}
	return s.confirmed(ctx, conn)
}

func (s *Syslog) dial(ctx context.Context) (net.Conn, error) {
	if s.Dial != nil {
		return s.Dial(ctx)
	}
	var d net.Dialer
	if s.TLS == nil {
		return d.DialContext(ctx, "tcp", s.Addr)
	}
	return (&tls.Dialer{NetDialer: &d, Config: s.TLS}).DialContext(ctx, "tcp", s.Addr)
}

// closeWrite says that nothing more comes, and leaves the other way open.
func closeWrite(conn net.Conn) error {
	if t, ok := conn.(*tls.Conn); ok {
		if err := t.CloseWrite(); err != nil {
			return err
		}
		conn = t.NetConn()
	}
	if c, ok := conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return nil
}

// confirmed waits until the receiver closed.
func (s *Syslog) confirmed(ctx context.Context, conn net.Conn) error {
	if err := conn.SetReadDeadline(time.Now().Add(closeTime)); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, io.LimitReader(conn, 64<<10))
	var timeout net.Error
	switch {
	case err == nil || errors.Is(err, io.ErrUnexpectedEOF):
		s.open = 0
		return s.alive(ctx)
	case ctx.Err() == nil && errors.As(err, &timeout) && timeout.Timeout():
		if s.open++; s.open >= patience {
			return s.alive(ctx)
		}
	}
	return gatekeeper.Wrap(err, gatekeeper.CodeUnavailable, "the syslog receiver did not close the connection after the last message, so it may not have read it")
}

func (s *Syslog) alive(ctx context.Context) error {
	conn, err := s.dial(ctx)
	if err != nil {
		return fmt.Errorf("the syslog receiver was gone after the last message: %w", err)
	}
	return conn.Close()
}
