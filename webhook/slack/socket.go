package slack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gorilla/websocket"
)

// Socket Mode (https://docs.slack.dev/apis/events-api/using-socket-mode). The
// SDK's own loop is not used: it writes acknowledgements to whatever
// connection is open by then, ends what is in hand when it stops, and closes
// a connection before it has the next one. These sockets acknowledge on the
// connection that the envelope came by, overlap, and drain.

const (
	// connections is how many sockets a process holds: while Slack recycles
	// one, every few hours, the other takes what comes. Slack lets an app have
	// ten, so five replicas fit.
	connections = 2
	// quiet is how long a connection may say nothing, pings included, before
	// it is taken for dead. Slack pings every few seconds.
	quiet = 30 * time.Second
	// handshake bounds the opening of a connection, and each write on it.
	handshake = 10 * time.Second
	// farewell is how long a connection that Slack announced to close is read
	// on, beside its successor.
	farewell = 30 * time.Second
	// maxBackoff bounds the pause between tries to connect.
	maxBackoff = 30 * time.Second
	// maxSocketAck is Slack's limit for what is written on a socket: anything
	// larger is dropped without a word.
	maxSocketAck = 20 << 10
)

// Listen holds Socket Mode connections open until ctx ends, and then finishes
// what came in by them. Without an app token it returns at once.
func (s *Slack) Listen(ctx context.Context) {
	if s.AppToken == "" {
		return
	}
	var all sync.WaitGroup
	for range connections {
		all.Go(func() { s.keepConnected(ctx, &all) })
	}
	all.Wait()
}

// keepConnected opens a connection again and again. The first try after a
// loss is made at once; failures in a row wait longer each time.
func (s *Slack) keepConnected(ctx context.Context, all *sync.WaitGroup) {
	for failures := 0; ctx.Err() == nil; {
		c, err := s.connect(ctx)
		if err != nil {
			failures++
			s.sockets.failed(err)
			s.Logger.WarnContext(ctx, "slack: no Socket Mode connection; clicks over it wait", "try", failures, "error", err)
			pause(ctx, backoff(failures, err))
			continue
		}
		failures = 0
		over := make(chan struct{})
		all.Go(func() { c.serve(ctx, over) })
		<-over
	}
}

// backoff grows to maxBackoff, a part of it by chance so that replicas do not
// come back together. Retry-After of Slack is obeyed.
func backoff(failures int, err error) time.Duration {
	d := min(time.Second<<min(failures-1, 10), maxBackoff)
	d = d/2 + rand.N(d/2+1) //nolint:gosec // nothing has to be unguessable here
	var coded *gatekeeper.Error
	if errors.As(err, &coded) && coded.Code == gatekeeper.CodeSlowDown {
		d = max(d, coded.RetryAfter)
	}
	return d
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// connect asks for a connection's address, which is good once, and opens it.
func (s *Slack) connect(ctx context.Context) (*connection, error) {
	ctx, cancel := context.WithTimeout(ctx, handshake)
	defer cancel()
	_, address, err := s.api.StartSocketModeContext(ctx)
	if err != nil {
		return nil, appFault(s.failed(err, "apps.connections.open", ""), err)
	}
	if !safeSocket(address) {
		return nil, gatekeeper.Errorf(gatekeeper.CodeUnavailable, "apps.connections.open gave an address that is not wss")
	}
	dialer := websocket.Dialer{
		Proxy: http.ProxyFromEnvironment, HandshakeTimeout: handshake,
		WriteBufferSize: maxSocketAck + 1<<10, // Slack does not join continuation frames
	}
	socket, answer, err := dialer.DialContext(ctx, address, nil)
	if answer != nil && answer.Body != nil {
		_ = answer.Body.Close()
	}
	if err != nil { // the address holds the ticket: it is not told
		return nil, gatekeeper.Errorf(gatekeeper.CodeUnavailable, "the Socket Mode connection cannot be opened: %s", plainSocket(err, answer))
	}
	socket.SetReadLimit(maxCallback)
	return &connection{s: s, socket: socket}, nil
}

func plainSocket(err error, answer *http.Response) string {
	var network *net.OpError
	switch {
	case answer != nil:
		return "Slack answered HTTP " + answer.Status
	case errors.As(err, &network):
		return network.Error()
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer in time"
	}
	return "the handshake failed"
}

// safeSocket wants TLS, but on loopback.
func safeSocket(raw string) bool {
	u, err := url.Parse(raw)
	if err != nil {
		return false
	}
	switch u.Scheme {
	case "wss":
		u.Scheme = "https"
	case "ws":
		u.Scheme = "http"
	default:
		return false
	}
	return safeURL(u.String())
}

// appFault puts into words what is wrong with the app token.
func appFault(f *gatekeeper.Error, err error) *gatekeeper.Error {
	if advice := appAdvice(slackCode(err)); advice != "" {
		f.Description = fmt.Sprintf("%s; app-level tokens are made under Basic Information, with the scope connections:write (apps.connections.open: %s)", advice, slackCode(err))
	}
	return f
}

func appAdvice(code string) string {
	switch code {
	case "invalid_auth", "not_authed":
		return "Slack does not accept slack.app_token"
	case "token_revoked", "token_expired", "account_inactive":
		return "slack.app_token was revoked"
	case "not_allowed_token_type":
		return "slack.app_token is no app-level token (xapp-…)"
	case "missing_scope":
		return "slack.app_token lacks the scope connections:write"
	case "too_many_websockets":
		return "the app has ten Socket Mode connections already, two for each gatekeeper; stop what else uses slack.app_token"
	case "forbidden_team":
		return "the workspace does not let the app use Socket Mode"
	}
	return ""
}

// envelope is what Slack writes on a socket.
type envelope struct {
	Type    string          `json:"type"`
	ID      string          `json:"envelope_id"`
	Reason  string          `json:"reason"` // of a disconnect
	Payload json.RawMessage `json:"payload"`
}
