package slackbox

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// retries are when Slack sends an event again that was not acknowledged
// (docs.slack.dev/apis/events-api: at once, after a minute, after five).
// Interactions and commands are never sent again.
func retries() []time.Duration { return []time.Duration{0, time.Minute, 5 * time.Minute} }

// OpenHome is a person opening the app's home tab: the app gets an
// app_home_opened event, where it takes events.
func (w *Workspace) OpenHome(ctx context.Context, user string) (Delivery, error) {
	w.mu.Lock()
	u, ok := w.user(user)
	if !ok {
		w.mu.Unlock()
		return Delivery{}, fmt.Errorf("slackbox: no user %q", user)
	}
	c := w.im(u.ID)
	event := map[string]any{"type": "app_home_opened", "user": u.ID, "channel": c.ID, "tab": "home", "event_ts": w.ts()}
	if v := w.home(u.ID); v != nil {
		event["view"] = viewAsSlack(v)
	}
	p := map[string]any{"token": "deprecated0verification0", "team_id": TeamID, "api_app_id": AppID, "type": "event_callback", "event": event,
		"event_id": w.id("Ev"), "event_time": w.o.Clock().Unix(), "authorizations": []any{map[string]any{"enterprise_id": nil, "team_id": TeamID,
			"user_id": BotUser, "is_bot": true, "is_enterprise_install": false}}}
	o := outgoing{kind: "event_callback", envelope: "events_api", url: w.o.EventsURL, payload: p, encode: asJSON}
	wanted := o.url != "" || len(w.sockets) > 0
	w.mu.Unlock()
	if !wanted {
		return Delivery{}, nil // the app takes no events
	}
	d := w.deliver(ctx, o)
	if !d.Acked() {
		w.work.Go(func() { w.again(o, d) })
	}
	return d, nil
}

// again repeats an event until it is taken, or Slack would give up.
func (w *Workspace) again(o outgoing, last Delivery) {
	for i, pause := range retries() {
		reason := "http_error"
		if last.Error == errTimeout {
			reason = "http_timeout"
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-w.ctx.Done():
			timer.Stop()
			return
		}
		o.header = http.Header{"X-Slack-Retry-Num": {strconv.Itoa(i + 1)}, "X-Slack-Retry-Reason": {reason}}
		if last = w.deliver(w.ctx, o); last.Acked() {
			return
		}
	}
}
