package github

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"mime"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/webhook/internal/door"
)

const (
	// WorkWebhook is a recorded webhook that waits to be worked on. Its key is
	// the delivery's id, its payload an [Event].
	WorkWebhook = "github.webhook"

	maxWebhook = 1 << 20
	// answerWithin stays below the 10 s after which GitHub gives a delivery up
	// (https://docs.github.com/webhooks/using-webhooks/best-practices-for-using-webhooks).
	answerWithin = 8 * time.Second
	// deliveryKept is how long a delivery's id is known. GitHub offers to
	// repeat deliveries of the last three days.
	deliveryKept = 7 * 24 * time.Hour
)

// webhookDoor takes less than GitHub's 25 MB: what we listen to is small.
var webhookDoor = door.Door{Limit: maxWebhook, NotPost: "webhooks are sent by POST", TooLong: "a webhook has at most 1 MiB here"}

// Inbox makes a webhook and the work that it causes durable, once.
// gatekeeper.Store implements it.
type Inbox interface {
	Once(ctx context.Context, key string, keep time.Duration, c gatekeeper.Change) (first bool, err error)
}

// Event is one webhook whose signature held.
type Event struct {
	Name     string          `json:"name"`     // X-GitHub-Event
	Action   string          `json:"action"`   // "" for events without one
	Delivery string          `json:"delivery"` // X-GitHub-Delivery
	Payload  json.RawMessage `json:"payload"`
}

// Subscription is what is done about one event. Handle is durable work: it
// runs after the acknowledgement, again after an error or a crash, so it has
// to be idempotent. An *Error with RetryAfter says when again.
type Subscription struct {
	Actions []string // nil: any, also none
	Handle  func(context.Context, Event) error
}

// Subscriptions say what is done about which event, by X-GitHub-Event. Other
// events are acknowledged and ignored.
type Subscriptions map[string]Subscription

// WebhookOptions are the parts of a [Webhook]. All but Logger are needed.
type WebhookOptions struct {
	Secret        string // of the App's webhook
	Inbox         Inbox
	Subscriptions Subscriptions
	Logger        *slog.Logger
}

// Webhook takes what GitHub sends to the App. It is safe for concurrent use.
type Webhook struct{ o WebhookOptions }

// NewWebhook refuses an empty secret, with which everybody could sign.
func NewWebhook(o WebhookOptions) (*Webhook, error) {
	switch {
	case o.Secret == "":
		return nil, gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, "github.webhook_secret is empty, so anybody could sign webhooks; set the one of the App's page")
	case o.Inbox == nil:
		return nil, gatekeeper.Errorf(gatekeeper.CodeInternal, "the webhook needs an Inbox: what cannot be recorded does not happen")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Webhook{o}, nil
}

// Handlers are the durable work of webhooks, by kind.
func (h *Webhook) Handlers() map[string]gatekeeper.WorkHandler {
	return map[string]gatekeeper.WorkHandler{WorkWebhook: h.work}
}

// ServeHTTP records a webhook and acknowledges it; the work comes afterwards.
func (h *Webhook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), answerWithin)
	defer cancel()
	e, err := h.read(w, r)
	if err == nil {
		err = h.take(ctx, e)
	}
	if err != nil {
		h.refuse(ctx, w, err)
		return
	}
	w.WriteHeader(http.StatusAccepted)
}

// read gives the event only after the signature held over the raw body.
func (h *Webhook) read(w http.ResponseWriter, r *http.Request) (Event, error) {
	body, err := webhookDoor.Body(w, r)
	if err != nil {
		return Event{}, err
	}
	if err := h.signed(r.Header.Get("X-Hub-Signature-256"), body); err != nil {
		return Event{}, err
	}
	return eventOf(r.Header, body)
}

var (
	eventName  = regexp.MustCompile(`^[a-z][a-z_]{0,63}$`)
	deliveryID = regexp.MustCompile(`^[0-9A-Za-z-]{8,64}$`)
)

func eventOf(h http.Header, body []byte) (Event, error) {
	e := Event{Name: h.Get("X-GitHub-Event"), Delivery: h.Get("X-GitHub-Delivery"), Payload: body}
	kind, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	switch {
	case err != nil || kind != "application/json":
		return e, bad("the webhook is no JSON; choose content type application/json on the App's page")
	case !eventName.MatchString(e.Name):
		return e, bad("the webhook has no X-GitHub-Event that GitHub would send")
	case !deliveryID.MatchString(e.Delivery):
		return e, bad("the webhook has no X-GitHub-Delivery to tell a repetition by")
	}
	var envelope struct {
		Action string `json:"action"`
	}
	if err := json.Unmarshal(body, &envelope); err != nil {
		return e, bad("the webhook's body is no JSON object with an action")
	}
	e.Action = envelope.Action
	return e, nil
}

// signed checks X-Hub-Signature-256
// (https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries)
// in constant time. The SHA-1 of older webhooks is not looked at.
func (h *Webhook) signed(header string, body []byte) error {
	digest, ok := strings.CutPrefix(header, "sha256=")
	given, err := hex.DecodeString(digest)
	if !ok || err != nil || !hmac.Equal(given, Sign(h.o.Secret, body)) {
		return gatekeeper.Errorf(gatekeeper.CodeInvalidToken, "the webhook is not signed with the configured github.webhook_secret")
	}
	return nil
}

// Sign is the signature of a webhook's body.
func Sign(secret string, body []byte) []byte {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return mac.Sum(nil)
}

// take makes the event durable where somebody wants it. Headers are not
// signed: a replay under another delivery id comes through here, so handlers
// go by what the body means and ask GitHub for the rest (threats row 41).
func (h *Webhook) take(ctx context.Context, e Event) error {
	if !h.o.Subscriptions.want(e) {
		h.o.Logger.DebugContext(ctx, "github: webhook acknowledged and ignored", "event", e.Name, "action", e.Action, "delivery", e.Delivery)
		return nil
	}
	payload, err := json.Marshal(e)
	if err != nil {
		return err
	}
	first, err := h.o.Inbox.Once(ctx, "github.delivery "+e.Delivery, deliveryKept, gatekeeper.Change{
		Work: []gatekeeper.Work{{Kind: WorkWebhook, Key: e.Delivery, Payload: payload}},
	})
	if err == nil {
		h.o.Logger.InfoContext(ctx, "github: webhook", "event", e.Name, "action", e.Action, "delivery", e.Delivery, "repeated", !first)
	}
	return err
}

func (s Subscriptions) want(e Event) bool {
	sub, ok := s[e.Name]
	return ok && (sub.Actions == nil || slices.Contains(sub.Actions, e.Action))
}

// work is the durable side: whoever wants the event now gets it.
func (h *Webhook) work(ctx context.Context, w gatekeeper.Work) error {
	var e Event
	if err := json.Unmarshal(w.Payload, &e); err != nil {
		h.o.Logger.ErrorContext(ctx, "github: a recorded webhook cannot be read and is left", "delivery", w.Key, "error", err)
		return nil
	}
	if !h.o.Subscriptions.want(e) {
		return nil // recorded by another version
	}
	return h.o.Subscriptions[e.Name].Handle(ctx, e)
}

func bad(text string) error { return gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, "%s", text) }

func (h *Webhook) refuse(ctx context.Context, w http.ResponseWriter, err error) {
	status, coded := webhookDoor.Status(err)
	id := door.Refuse(w, status, coded)
	h.o.Logger.WarnContext(ctx, "github: webhook refused", "status", status, "request_id", id, "error", err)
}
