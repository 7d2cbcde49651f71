package main

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/api"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/ledger/sink"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/limit"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/oidc"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/rules"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/store"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/trace"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/web"
	"github.com/gatekeeper-ci/gatekeeper/sts/issuer"
	"github.com/gatekeeper-ci/gatekeeper/webhook/slack"
)

// drainTime is how long a stopping service finishes what is in hand.
const drainTime = 9 * time.Second

// service is the whole gatekeeper, wired. It starts in-process in tests.
type service struct {
	cfg     config
	log     *slog.Logger
	store   *store.Store
	live    *rules.Live
	gate    *gatekeeper.Gate
	slack   *slack.Slack
	proofs  bool // the pages take proofs beyond a click
	issuer  *issuer.Issuer
	runner  *store.Runner
	metrics *metrics
	tracing *trace.Tracing // nil: no traces
	limits  *limit.Limiter
	sinks   []*sink.Sink
	keeper  *keeper
	github  githubSide
	pages   http.Handler

	public, admin net.Listener
	doors         *doors // nil until the admin port is served
	drain         context.Context
	draining      context.CancelFunc
	parked        sync.WaitGroup // calls that wait for people
	rules         rulesInForce
}

// newService opens everything and serves nothing yet. What is wrong with the
// rules or the keys is told now; nobody outside is asked. A database that is
// away is waited for, until ctx ends.
func newService(ctx context.Context, cfg config, log *slog.Logger) (*service, error) {
	return newServiceOn(ctx, cfg, log, nil, nil)
}

// newServiceOn serves on listeners that are bound already, where given.
func newServiceOn(ctx context.Context, cfg config, log *slog.Logger, public, admin net.Listener) (*service, error) {
	s := &service{cfg: cfg, log: log, live: &rules.Live{}, metrics: newMetrics(), public: public, admin: admin}
	s.drain, s.draining = context.WithCancel(context.WithoutCancel(ctx))
	for _, step := range []func(context.Context) error{s.openTracing, s.patiently(s.openStore), s.openSinks, s.openIssuer, s.patiently(s.firstRules), s.openLimits, s.openGate, s.listen} {
		if err := step(ctx); err != nil {
			s.close()
			return nil, err
		}
	}
	return s, nil
}

// origin is the log's name: the host of the gatekeeper's URL, unless the
// ledger was begun under another one.
func (c config) origin() string {
	if c.Origin != "" {
		return c.Origin
	}
	u, err := url.Parse(c.URL)
	if err != nil || u.Host == "" {
		return "gatekeeper/ledger"
	}
	return u.Hostname() + "/ledger"
}

func (s *service) openStore(ctx context.Context) error {
	if err := s.cfg.sharedKeys(); err != nil {
		return err
	}
	k, err := openKeeper(ctx, s.cfg, s.log)
	if err == nil {
		s.keeper, s.store = k, k.store
	}
	return err
}

func (s *service) openGate(ctx context.Context) error {
	verifier, err := oidc.New(oidc.Options{Issuers: s.cfg.Issuers, Now: s.cfg.tokenClock, Fetched: s.metrics.fetched})
	if err != nil {
		return err
	}
	options := s.slackOptions()
	directory, err := slack.NewDirectory(options)
	if err != nil {
		return err
	}
	if err := s.openGitHub(); err != nil {
		return err
	}
	exchangers, err := s.openExchangers()
	if err != nil {
		return err
	}
	s.gate, err = gatekeeper.NewGate(gatekeeper.Options{
		Verifier: s.limits.Verifier(s.tracing.Verifier(verifier)), Rules: s.tracing.Decider(s.live), Store: s.tracing.Store(s.store), Directory: s.withTeams(directory), Finder: s.store, Glance: s.withTeamsKept(directory.Glance()), Exchanger: s.tracing.Exchanger(exchangers), Runs: s.runs(), Deployments: s.deployments(),
		People: s.cfg.People, Logger: s.log, Observe: s.metrics.observe, Crowded: s.metrics.crowded, PendingPerRepository: s.cfg.Pending, ExchangeTimeout: exchangeTime,
		Sole: !s.store.Shared(), Started: time.Now(), Now: s.cfg.clock,
	})
	if err != nil {
		return err
	}
	if err := s.openPages(s.withTeams(directory)); err != nil {
		return err
	}
	options.Gate = s.gate
	if s.slack, err = slack.New(options); err != nil {
		return err
	}
	handlers := s.gate.Handlers()
	maps.Copy(handlers, s.slack.Handlers())
	handlers[gatekeeper.WorkMessage] = s.shownOnCommit(handlers[gatekeeper.WorkMessage])
	hooks, err := s.githubWork(ctx)
	if err != nil {
		return err
	}
	maps.Copy(handlers, hooks)
	maps.Copy(handlers, s.keeper.handlers())
	s.runner = store.NewRunner(s.store, store.RunnerOptions{Handlers: s.tracing.Work(handlers), Backoff: s.cfg.backoff, Logger: s.log})
	return nil
}

// listen binds both ports before anything is said to be up. Listeners that
// are set already are kept: the demo and tests need to know their port.
func (s *service) listen(ctx context.Context) error {
	var lc net.ListenConfig
	var err error
	if s.public == nil {
		if s.public, err = lc.Listen(ctx, "tcp", s.cfg.Listen); err != nil {
			return err
		}
	}
	return s.listenAdmin(ctx)
}

func (s *service) listenAdmin(ctx context.Context) (err error) {
	var lc net.ListenConfig
	if s.admin == nil {
		s.admin, err = lc.Listen(ctx, "tcp", s.cfg.AdminListen)
	}
	return err
}

// handler is everything that the public port serves.
func (s *service) handler() http.Handler {
	mux := http.NewServeMux()
	calls := api.Handler(api.Options{Gate: s.tracing.Gate(s.gate), URL: s.cfg.URL, Logger: s.log, Draining: s.drain, Parked: &s.parked, Attest: s.keeper.attest, Observe: s.metrics.call})
	mux.Handle("/v1/", calls)
	mux.Handle("/openapi.yaml", calls)
	mux.Handle("/oauth2/", calls)
	mux.Handle("/.well-known/oauth-authorization-server", calls)
	s.slackDoors(mux)
	s.handleGitHub(mux)
	mux.Handle("/.well-known/", s.issuer.Handler())
	for _, path := range web.Paths() {
		mux.Handle(path, s.pages)
	}
	return s.tracing.Handler(mux, "/v1/", "/oauth2/")
}

// server has limits against slow and large callers: a token in a header has
// up to 16 KiB, and waiting calls are answered within a minute.
func (s *service) server(h http.Handler) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 20 * time.Second, WriteTimeout: 90 * time.Second,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 32 << 10, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
}

// run serves until ctx ends, then drains: waiting steps are answered, work in
// hand is finished, and only then the store is closed.
func (s *service) run(ctx context.Context) error {
	defer s.close()
	public := s.limits.Watch(s.server(s.limits.Handler(s.handler())))
	s.serveAdmin(s.adminHandler())
	failed := make(chan error, 1)
	go func() { failed <- public.Serve(s.limits.Listen(s.public)) }()
	working, stopWork := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWork()
	var wg sync.WaitGroup
	wg.Go(func() { s.runner.Run(working) })
	wg.Go(func() { s.watchRules(working) })
	wg.Go(func() { s.runSinks(working) })
	wg.Go(func() { s.greetSlack(working) })
	wg.Go(func() { s.slack.Listen(s.drain) })
	s.log.Info("serving", "url", s.cfg.URL, "listen", s.public.Addr().String(), "admin", s.admin.Addr().String(), "rules", s.live.Current().Len(), "version", version)
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	case err = <-s.doors.failed:
	}
	s.log.Info("draining")
	s.draining()
	late, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	err = errors.Join(ignoreClosed(err), public.Shutdown(late), s.slack.Drain(late))
	stopWork()
	done := make(chan struct{})
	go func() { wg.Wait(); s.parked.Wait(); close(done) }()
	select {
	case <-done:
	case <-late.Done():
		s.log.Warn("work in hand was left; it is done again at the next start")
	}
	err = errors.Join(err, s.doors.server.Shutdown(late))
	s.tracing.Close(late)
	return err
}

func ignoreClosed(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

func (s *service) close() {
	s.draining()
	if s.doors != nil {
		_ = s.doors.server.Close()
	}
	for _, l := range []net.Listener{s.public, s.admin} {
		if l != nil {
			_ = l.Close()
		}
	}
	if s.store != nil {
		_ = s.store.Close()
	}
	s.tracing.Abandon()
}
