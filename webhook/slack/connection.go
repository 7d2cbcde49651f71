package slack

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gorilla/websocket"
)

// connection is one socket.
type connection struct {
	s      *Slack
	socket *websocket.Conn
	work   sync.WaitGroup // deliveries in hand
	write  sync.Mutex

	mu    sync.Mutex
	final bool // its end is set: nothing makes it live longer
}

// serve reads deliveries until the connection ends. over is closed as soon as
// another connection should take its place, which is before the end where
// Slack announces it.
func (c *connection) serve(ctx context.Context, over chan struct{}) {
	leave := sync.OnceFunc(func() { c.s.sockets.down(); close(over) })
	c.s.sockets.up()
	c.s.Logger.InfoContext(ctx, "slack: Socket Mode is connected")
	stop := context.AfterFunc(ctx, func() { c.endIn(0) })
	defer func() {
		stop()
		leave()
		c.work.Wait() // acknowledgements of what is in hand are still written
		c.close()
	}()
	c.socket.SetPingHandler(func(data string) error {
		c.alive()
		return c.socket.WriteControl(websocket.PongMessage, []byte(data), time.Now().Add(handshake))
	})
	c.alive()
	for {
		var e envelope
		if err := c.socket.ReadJSON(&e); err != nil {
			if ctx.Err() == nil {
				c.s.Logger.InfoContext(ctx, "slack: a Socket Mode connection ended; another one is opened", "error", c.s.scrubbed(err))
			}
			return
		}
		if e.Type == "disconnect" {
			c.s.Logger.InfoContext(ctx, "slack: Slack recycles a Socket Mode connection", "reason", line(e.Reason, 40))
			c.endIn(farewell)
			leave()
			continue
		}
		c.alive()
		c.handle(ctx, e)
	}
}

// alive lets the connection be silent for a while from now.
func (c *connection) alive() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.final {
		_ = c.socket.SetReadDeadline(time.Now().Add(quiet)) // a broken one fails the next read
	}
}

// closing is how long Slack may take to close its end. It often does not.
const closing = time.Second

// close says goodbye and reads what is still on the way: a connection that is
// closed over unread bytes is reset, and the reset can overtake the last
// acknowledgement.
func (c *connection) close() {
	end := time.Now().Add(closing)
	_ = c.socket.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""), end)
	_ = c.socket.NetConn().SetReadDeadline(end)
	_, _ = io.Copy(io.Discard, c.socket.NetConn())
	_ = c.socket.Close()
}

// endIn ends the reading. What was read by then is finished.
func (c *connection) endIn(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.final = true
	_ = c.socket.SetReadDeadline(time.Now().Add(d))
}

// handle takes a delivery in, and acknowledges it only once it is recorded.
// While too many are in hand it reads no further, so Slack is slowed down by
// the connection itself. What is not acknowledged fails visibly at Slack.
func (c *connection) handle(ctx context.Context, e envelope) {
	if e.ID == "" {
		return // hello
	}
	ctx = context.WithoutCancel(ctx)
	if !c.s.enter(ctx, true) {
		return
	}
	c.work.Go(func() {
		defer c.s.leave()
		ctx, cancel := context.WithTimeout(ctx, triggerTime)
		defer cancel()
		ack, err := c.s.take(ctx, kind(e.Type), e.Payload)
		if err == nil {
			err = c.acknowledge(e.ID, ack)
		}
		if err != nil {
			c.s.Logger.WarnContext(ctx, "slack: delivery refused", "kind", line(e.Type, 40), "error", c.s.scrubbed(err))
		}
	})
}

func (c *connection) acknowledge(id string, ack any) error {
	answer := map[string]any{"envelope_id": id}
	if ack != nil {
		answer["payload"] = ack
	}
	body, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	if len(body) >= maxSocketAck {
		return gatekeeper.Errorf(gatekeeper.CodeInternal, "an acknowledgement of %d bytes is more than a socket takes", len(body))
	}
	c.write.Lock()
	defer c.write.Unlock()
	if err := c.socket.SetWriteDeadline(time.Now().Add(handshake)); err != nil {
		return err
	}
	return c.socket.WriteMessage(websocket.TextMessage, body)
}

// sockets is how Socket Mode stands.
type sockets struct {
	mu   sync.Mutex
	open int
	why  string // the last try to connect failed
}

func (k *sockets) up() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.open, k.why = k.open+1, ""
}

func (k *sockets) down() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.open--
}

func (k *sockets) failed(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.why = err.Error()
}

// WaysIn says in words how clicks reach us, for readiness. up is false while
// Socket Mode is configured and no connection is open.
func (s *Slack) WaysIn() (text string, up bool) {
	if s.AppToken == "" {
		return "signed callbacks", true
	}
	s.sockets.mu.Lock()
	defer s.sockets.mu.Unlock()
	if s.sockets.open > 0 {
		return fmt.Sprintf("Socket Mode, %d of %d connections", s.sockets.open, connections), true
	}
	if s.sockets.why != "" {
		return "Socket Mode has no connection: " + s.sockets.why, false
	}
	return "Socket Mode has no connection yet", false
}
