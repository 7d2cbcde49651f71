package slackbox

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// maxSockets is how many Socket Mode connections an app may have.
const maxSockets = 10

// socket is one Socket Mode connection (docs.slack.dev/apis/events-api/using-socket-mode).
type socket struct {
	conn *websocket.Conn
	once sync.Once
	gone chan struct{}

	mu   sync.Mutex // writes
	acks map[string]chan json.RawMessage
}

func (s *socket) close() {
	s.once.Do(func() {
		close(s.gone)
		_ = s.conn.Close()
	})
}

func (s *socket) write(v any) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.conn.SetWriteDeadline(time.Now().Add(5 * time.Second)) // a failure shows at the write
	return s.conn.WriteJSON(v)
}

func (w *Workspace) connectionsOpen(args) (reply, *failure) {
	ticket := w.id("ticket")
	w.tickets[ticket] = true
	return reply{"url": "ws://" + w.addr + "/link/?ticket=" + ticket + "&app_id=" + AppID}, nil
}

// serveLink is a Socket Mode connection. A ticket is good for one.
func (w *Workspace) serveLink(rw http.ResponseWriter, r *http.Request) {
	ticket := r.URL.Query().Get("ticket")
	w.mu.Lock()
	ok := w.tickets[ticket] && len(w.sockets) < maxSockets
	delete(w.tickets, ticket)
	w.mu.Unlock()
	if !ok {
		http.Error(rw, "the ticket is unknown or used, or the app has 10 connections already", http.StatusForbidden)
		return
	}
	upgrader := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }} // the ticket is the guard
	conn, err := upgrader.Upgrade(rw, r, nil)
	if err != nil {
		return // Upgrade has answered
	}
	s := &socket{conn: conn, gone: make(chan struct{}), acks: map[string]chan json.RawMessage{}}
	w.mu.Lock()
	w.sockets = append(w.sockets, s)
	n := len(w.sockets)
	w.touch()
	w.mu.Unlock()
	defer w.forget(s)
	hello := map[string]any{"type": "hello", "num_connections": n, "connection_info": map[string]any{"app_id": AppID},
		"debug_info": map[string]any{"host": "sandbox", "approximate_connection_time": 3600}}
	if s.write(hello) != nil {
		return
	}
	go s.pings() // ends with the connection
	s.reads()
}

func (w *Workspace) forget(gone *socket) {
	gone.close()
	w.mu.Lock()
	defer w.mu.Unlock()
	var left []*socket
	for _, s := range w.sockets {
		if s != gone {
			left = append(left, s)
		}
	}
	w.sockets = left
	w.touch()
}

// pings keep clients from taking a quiet connection for a dead one.
func (s *socket) pings() {
	ticker := time.NewTicker(5 * time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-s.gone:
			return
		case <-ticker.C:
			if s.conn.WriteControl(websocket.PingMessage, []byte("Ping from the sandbox"), time.Now().Add(time.Second)) != nil {
				return
			}
		}
	}
}

// reads takes acknowledgements until the connection ends.
func (s *socket) reads() {
	for {
		var ack struct {
			ID      string          `json:"envelope_id"`
			Payload json.RawMessage `json:"payload"`
		}
		if err := s.conn.ReadJSON(&ack); err != nil {
			return
		}
		s.mu.Lock()
		if c, ok := s.acks[ack.ID]; ok {
			delete(s.acks, ack.ID)
			c <- ack.Payload
		}
		s.mu.Unlock()
	}
}

// socketTurn is the connection whose turn it is; nil: there is none, and
// callbacks go by HTTP. Slack sends each payload to one connection.
func (w *Workspace) socketTurn() *socket {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.sockets) == 0 {
		return nil
	}
	w.serial++
	return w.sockets[w.serial%len(w.sockets)]
}

func (w *Workspace) overSocket(ctx context.Context, s *socket, o outgoing) Delivery {
	w.mu.Lock()
	id, now := w.id("envelope-"), w.o.Clock()
	w.mu.Unlock()
	envelope := map[string]any{"type": o.envelope, "envelope_id": id, "payload": o.payload, "accepts_response_payload": o.envelope != "events_api"}
	if o.envelope == "events_api" {
		envelope["retry_attempt"], envelope["retry_reason"] = whole(o.header.Get("X-Slack-Retry-Num")), o.header.Get("X-Slack-Retry-Reason")
	}
	d := Delivery{Kind: o.kind, Via: "socket", Body: string(compact(envelope)), At: now}
	acked := make(chan json.RawMessage, 1)
	s.mu.Lock()
	s.acks[id] = acked
	s.mu.Unlock()
	start := time.Now()
	if s.write(envelope) != nil {
		d.Error = errFailed
		return d
	}
	timer := time.NewTimer(w.o.AckTimeout)
	defer timer.Stop()
	select {
	case body := <-acked:
		d.Status, d.Response = http.StatusOK, string(body)
	case <-s.gone:
		d.Error = errFailed
		select { // acknowledged right before the end
		case body := <-acked:
			d.Status, d.Response, d.Error = http.StatusOK, string(body), ""
		default:
		}
	case <-timer.C:
		d.Error = errTimeout
	case <-ctx.Done():
		d.Error = errFailed
	}
	d.Took = time.Since(start)
	return d
}

// Sockets is how many Socket Mode connections are open.
func (w *Workspace) Sockets() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.sockets)
}

// DropSockets ends all Socket Mode connections: announced, as Slack does every
// few hours (reason "refresh_requested", "warning", "link_disabled"), or cut
// without a word (reason ""). It returns how many there were.
func (w *Workspace) DropSockets(reason string) int {
	w.mu.Lock()
	all := w.sockets
	w.sockets = nil // nothing is sent there any more
	w.touch()
	w.mu.Unlock()
	for _, s := range all {
		if reason != "" {
			_ = s.write(map[string]any{"type": "disconnect", "reason": reason, "debug_info": map[string]any{"host": "sandbox"}}) // it is being closed anyway
		}
		s.close()
	}
	return len(all)
}
