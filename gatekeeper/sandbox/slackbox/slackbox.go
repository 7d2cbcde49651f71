package slackbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// What the workspace and its app are called, and their secrets. They open
// nothing but a stand-in on loopback.
const (
	TeamID        = "T0ACME"
	TeamName      = "Acme"
	TeamDomain    = "acme"
	AppID         = "A0GATEKEEPER"
	BotUser       = "U0GATEKEEPER"
	BotID         = "B0GATEKEEPER"
	BotToken      = "xoxb-sandbox-0000000000-gatekeeper"
	AppToken      = "xapp-1-A0GATEKEEPER-sandbox"
	SigningSecret = "sandbox0signing0secret0of0acme00"
)

// Options configure a workspace. The zero value is a working one on a free
// port, with the people and channels of [Cast].
type Options struct {
	Addr string // host:port on loopback; empty: 127.0.0.1 and a free port

	BotToken      string   // empty: BotToken
	AppToken      string   // empty: AppToken
	SigningSecret string   // empty: SigningSecret
	Scopes        []string // of the bot token; nil: every one that a method here needs
	AppName       string   // as people see it; empty: Gatekeeper

	// Where callbacks go while no Socket Mode connection is open. They can be
	// set later, by SetCallbacks. Empty: people see that the app does not answer.
	InteractionsURL, CommandsURL, EventsURL string

	NoRateLimits bool          // for tests that are about something else
	Burst        int           // messages that a channel takes at once; 0: 4
	AckTimeout   time.Duration // 0: Slack's 3 s

	Clock  func() time.Time // nil: time.Now
	Logger *slog.Logger     // nil: silent
}

// Workspace is the stand-in. It is safe for concurrent use.
type Workspace struct {
	o      Options
	addr   string
	server *http.Server
	client *http.Client
	ctx    context.Context // ends with Close
	stop   context.CancelFunc
	work   sync.WaitGroup

	mu         sync.Mutex
	changed    chan struct{} // closed and replaced at every change
	revision   int
	last       time.Time // of the newest ts, which are unique and grow
	serial     int
	users      []User
	groups     []Group
	channels   []Channel
	messages   []*Message
	views      []*View
	triggers   map[string]*trigger
	responses  map[string]*responseURL
	limits     map[string]*rate.Limiter
	faults     []*Fault
	calls      []Call
	deliveries []Delivery
	notices    []Notice
	sockets    []*socket
	tickets    map[string]bool
	read       map[string]string // user and channel → ts read up to
	commands   []Command
}

// New starts a workspace. It refuses to listen anywhere but on loopback: it
// lets whoever reaches it act as anybody.
func New(o Options) (*Workspace, error) {
	o = o.filled()
	listener, err := listen(o.Addr)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	w := &Workspace{
		o: o, addr: listener.Addr().String(), ctx: ctx, stop: stop, changed: make(chan struct{}),
		triggers: map[string]*trigger{}, responses: map[string]*responseURL{}, limits: map[string]*rate.Limiter{},
		tickets: map[string]bool{}, read: map[string]string{},
		// Redirects are no acknowledgement at Slack.
		client: &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}
	w.users, w.groups, w.channels = Cast()
	w.commands = []Command{{Name: "/gatekeeper", Hint: "pending | show REQ | help", Description: "What waits for you"}}
	w.server = &http.Server{Handler: w.Handler(), ReadHeaderTimeout: 10 * time.Second}
	w.work.Go(func() {
		if err := w.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			o.Logger.Error("slackbox: stopped serving", "error", err)
		}
	})
	return w, nil
}

func (o Options) filled() Options {
	set := func(s *string, value string) {
		if *s == "" {
			*s = value
		}
	}
	set(&o.BotToken, BotToken)
	set(&o.AppToken, AppToken)
	set(&o.SigningSecret, SigningSecret)
	set(&o.AppName, "Gatekeeper")
	set(&o.Addr, "127.0.0.1:0")
	if o.Scopes == nil {
		o.Scopes = AllScopes()
	}
	if o.Burst == 0 {
		o.Burst = 4
	}
	if o.AckTimeout == 0 {
		o.AckTimeout = 3 * time.Second
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

func listen(addr string) (net.Listener, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("slackbox: address %q is not host:port: %w", addr, err)
	}
	if !loopback(host) {
		return nil, fmt.Errorf("slackbox: %q is not loopback; it lets anybody act as anybody, so use 127.0.0.1", host)
	}
	return net.Listen("tcp", addr)
}

func loopback(host string) bool {
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Close stops serving, ends Socket Mode connections and waits for callbacks
// that are under way.
func (w *Workspace) Close() {
	w.stop()
	w.mu.Lock()
	for _, s := range w.sockets {
		s.close()
	}
	w.mu.Unlock()
	_ = w.server.Close()
	w.work.Wait()
	w.client.CloseIdleConnections()
}

// URL is the page on which people see the workspace, with a slash at its end.
func (w *Workspace) URL() string { return "http://" + w.addr + "/" }

// PageURL is the page of one person in one channel, or in "home".
func (w *Workspace) PageURL(user, channel string) string { return w.URL() + at(user, channel, "") }

// APIURL is the base of the Web API, with a slash at its end.
func (w *Workspace) APIURL() string { return w.URL() + "api/" }

// SetCallbacks says where the app takes what people do. An empty URL means
// that the app has not configured that.
func (w *Workspace) SetCallbacks(interactions, commands, events string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.o.InteractionsURL, w.o.CommandsURL, w.o.EventsURL = interactions, commands, events
}

// SetScopes changes what the bot token may do, as a new installation would.
func (w *Workspace) SetScopes(scopes ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.o.Scopes = scopes
}

// SetBotToken revokes the old token.
func (w *Workspace) SetBotToken(token string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.o.BotToken = token
}

// Handler serves everything, for tests that bring their own transport.
func (w *Workspace) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/api/{method}", w.serveAPI)
	mux.HandleFunc("POST /response/{id}", w.serveResponse)
	mux.HandleFunc("GET /link/", w.serveLink)
	w.control(mux)
	w.pages(mux)
	return guarded(mux)
}

// guarded keeps other web sites in the same browser out: by their name where
// they made it resolve to us (DNS rebinding), by their Origin otherwise.
func guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		host := r.Host
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		origin := r.Header.Get("Origin")
		// SDKs name Slack as the origin of Socket Mode, where a ticket is the guard.
		foreign := origin != "" && origin != "http://"+r.Host && !strings.HasPrefix(r.URL.Path, "/link/")
		if !loopback(host) || foreign {
			http.Error(rw, "the sandbox's Slack is for this machine alone", http.StatusForbidden)
			return
		}
		next.ServeHTTP(rw, r)
	})
}

// touch tells everybody who waits that something changed. It needs w.mu.
func (w *Workspace) touch() {
	w.revision++
	close(w.changed)
	w.changed = make(chan struct{})
}

// ts makes a message's timestamp: unique in the workspace, growing, and the
// time in it. It needs w.mu.
func (w *Workspace) ts() string {
	now := w.o.Clock().Truncate(time.Microsecond)
	if !now.After(w.last) {
		now = w.last.Add(time.Microsecond)
	}
	w.last = now
	return stamp(now)
}

func stamp(t time.Time) string { return fmt.Sprintf("%d.%06d", t.Unix(), t.Nanosecond()/1000) }

// id makes an id that no other thing of the workspace has. It needs w.mu.
func (w *Workspace) id(prefix string) string {
	w.serial++
	return fmt.Sprintf("%s0%06X", prefix, w.serial)
}
