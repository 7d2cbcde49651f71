package sink_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/ledger"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/ledger/sink"
)

func asError(err error, target **gatekeeper.Error) bool { return errors.As(err, target) }

// syslogd is a receiver that can be told how to end a connection.
type syslogd struct {
	net.Listener
	got chan string
	end func(net.Conn) // after all was read
}

func newSyslogd(t *testing.T, config *tls.Config, end func(net.Conn)) *syslogd {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if config != nil {
		l = tls.NewListener(l, config)
	}
	s := &syslogd{l, make(chan string, 100), end}
	t.Cleanup(func() { _ = l.Close() })
	go s.serve()
	return s
}

func (s *syslogd) serve() {
	for {
		conn, err := s.Accept()
		if err != nil {
			return
		}
		go s.read(conn)
	}
}

// read counts octets, as RFC 6587 has it.
func (s *syslogd) read(conn net.Conn) {
	r := bufio.NewReader(conn)
	for {
		count, err := r.ReadString(' ')
		if err != nil {
			break
		}
		n, err := strconv.Atoi(strings.TrimSpace(count))
		if err != nil {
			s.got <- "no count: " + count
			break
		}
		message := make([]byte, n)
		if _, err := io.ReadFull(r, message); err != nil {
			break
		}
		s.got <- string(message)
	}
	s.end(conn)
}

func selfSigned(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, &tls.Config{RootCAs: pool, ServerName: "localhost"}
}

func quietly(c net.Conn) { _ = c.Close() }

// reset is what the kernel does for a process that was killed with bytes
// unread.
func reset(c net.Conn) {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	_ = c.(*net.TCPConn).SetLinger(0)
	_ = c.Close()
}

// cutOff is what it does when all bytes were read: TLS is not ended well.
func cutOff(c net.Conn) {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	_ = c.Close()
}

// A batch counts as delivered when the receiver ended the connection and is
// still there; else it is sent again.
func TestSyslogDelivery(t *testing.T) {
	server, client := selfSigned(t)
	for name, c := range map[string]struct {
		tls  bool
		end  func(*syslogd, net.Conn)
		lost bool
	}{
		"tcp":                          {false, func(_ *syslogd, c net.Conn) { quietly(c) }, false},
		"tcp, gone afterwards":         {false, func(s *syslogd, c net.Conn) { _ = s.Close(); quietly(c) }, true},
		"tcp, reset":                   {false, func(_ *syslogd, c net.Conn) { reset(c) }, true},
		"tls":                          {true, func(_ *syslogd, c net.Conn) { quietly(c) }, false},
		"tls, ended well and gone":     {true, func(s *syslogd, c net.Conn) { _ = s.Close(); quietly(c) }, true},
		"tls, no notice":               {true, func(_ *syslogd, c net.Conn) { cutOff(c) }, false},
		"tls, no notice and gone":      {true, func(s *syslogd, c net.Conn) { _ = s.Close(); cutOff(c) }, true},
		"tls, reset and still serving": {true, func(_ *syslogd, c net.Conn) { reset(c) }, true},
	} {
		t.Run(name, func(t *testing.T) {
			out := &sink.Syslog{Host: "gatekeeper.test", Version: "1"}
			config := server
			if out.TLS = client; !c.tls {
				out.TLS, config = nil, nil
			}
			var s *syslogd
			ready := make(chan struct{})
			s = newSyslogd(t, config, func(conn net.Conn) { <-ready; c.end(s, conn) })
			close(ready)
			out.Addr = s.Addr().String()
			err := out.Send(t.Context(), records("one", "two"))
			if (err != nil) != c.lost {
				t.Errorf("got %v", err)
			}
			for _, want := range []string{"one", "two"} {
				if got := <-s.got; !strings.HasSuffix(got, "] "+want) {
					t.Errorf("got %q, want %q", got, want)
				}
			}
		})
	}
	stranger, _ := selfSigned(t)
	s := newSyslogd(t, stranger, quietly)
	if err := (&sink.Syslog{Addr: s.Addr().String(), TLS: client}).Send(t.Context(), records("one")); err == nil {
		t.Error("a receiver with another certificate got a record")
	}
}

// A receiver that lives and never closes gets a batch a few times, and then
// the next ones once: they would never count otherwise.
func TestSyslogReceiverThatNeverCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		accepted := 0
		out := &sink.Syslog{Dial: func(context.Context) (net.Conn, error) {
			ours, theirs := net.Pipe()
			accepted++
			go func() { _, _ = io.Copy(io.Discard, theirs) }()
			return ours, nil
		}}
		for i := range 4 {
			err := out.Send(t.Context(), records("one"))
			if (err != nil) != (i < 2) {
				t.Errorf("try %d: %v", i, err)
			}
		}
		if accepted != 6 { // four batches, and two looks whether it lives
			t.Errorf("%d connections", accepted)
		}
	})
}

// RFC 5424's grammar, over the naughtiest of names (threats row 46).
func TestSyslogGrammar(t *testing.T) {
	grammar := regexp.MustCompile(`^<(108|110)>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z [!-~]{1,255} gatekeeper - [!-~]{1,32} ` +
		`\[origin software="gatekeeper" swVersion="((\\["\\\]])|[^"\\\]\x00-\x1f])*"\]\[meta sequenceId="[1-9]\d{0,9}"\] `)
	naughty := "x\" y]z\\\n\x00é\xff[a=\"b\"]" + strings.Repeat("long", 20)
	s := newSyslogd(t, nil, quietly)
	r := ledger.Record{Type: naughty, Time: time.Unix(1700000000, 0), Index: 1<<31 - 2, Line: []byte("12 <13>1 - - - - - -\nforged")}
	for _, refused := range []bool{false, true} {
		r.Refused = refused
		if err := (&sink.Syslog{Addr: s.Addr().String(), Host: naughty, Version: naughty}).Send(t.Context(), []ledger.Record{r, r}); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			got := <-s.got
			if !grammar.MatchString(got) || !strings.HasSuffix(got, "] 12 <13>1 - - - - - -\nforged") || strings.Count(got, "\n") != 1 {
				t.Errorf("got %q", got)
			}
		}
	}
	if err := (&sink.Syslog{Addr: s.Addr().String()}).Send(t.Context(), records("x")); err != nil {
		t.Fatal(err)
	}
	if got := <-s.got; !strings.Contains(got, " - gatekeeper - vote.counted [") {
		t.Errorf("without a host: %q", got)
	}
}
