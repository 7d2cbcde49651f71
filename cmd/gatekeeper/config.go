package main

import (
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/conf"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/oidc"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/trace"
	"github.com/gatekeeper-ci/gatekeeper/webhook/github"
	"github.com/urfave/cli/v2"
)

// config is gatekeeper.yaml, checked. Paths are absolute or relative to the
// process.
type config struct {
	URL         string
	Listen      string
	AdminListen string
	Database    string           // a SQLite file, or a postgres:// URL
	Rules       string           // a file or a directory, unless RulesAt is set
	RulesAt     *github.Location // where on GitHub
	Issuers     []oidc.Issuer
	Slack       slackConfig
	GitHub      *githubConfig
	SigningKey  string
	LedgerKey   string
	People      gatekeeper.People
	Clouds      cloudsConfig
	SSO         *ssoConfig // nil: nobody signs in with a company account
	SessionKey  string
	Pending     int
	Limits      limitsConfig
	Proxies     []netip.Prefix // whose X-Forwarded-For is believed
	Sinks       []sinkConfig
	Origin      string // of the ledger; "": of the URL
	Traces      trace.Settings

	troubles []string // of the environment, which the log tells

	backoff time.Duration // of failed work; tests shorten it

	clock func() time.Time // nil: the machine's; tests move it
	// tokenClock is the one by which CI's tokens and keys are judged; as clock.
	tokenClock func() time.Time
	ticks      func() time.Time // nil: the machine's; what limits count by

	// missing are parts that the file asks for and this version does not
	// serve: the service refuses to start rather than leave them out.
	missing []string
}

type slackConfig struct {
	BotToken, SigningSecret, AppToken, APIURL, Team, Channel string

	SocketMode bool // an app token is named and no signing secret, whatever they are
}

// What the file may leave out.
const (
	defaultListen  = ":8080"
	defaultAdmin   = "127.0.0.1:9090"
	defaultSlack   = "https://slack.com/api/"
	defaultGitHub  = "https://api.github.com/"
	defaultPending = 20
	exchangeTime   = 10 * time.Second
)

func configCommand(w world) *cli.Command {
	return &cli.Command{
		Name: "config", Usage: "work with gatekeeper.yaml",
		Subcommands: []*cli.Command{configSchemaCommand(w), {
			Name: "check", Usage: "tell every fault of the file", ArgsUsage: "FILE",
			Action: func(c *cli.Context) error {
				if c.Args().Len() != 1 {
					return cli.Exit("config check takes one file", exitUsage)
				}
				_, faults := loadConfig(c.Args().First(), w.env)
				return report(w, c.Args().First(), faults)
			},
		}},
	}
}

// report prints faults and fails when one is an error.
func report(w world, what string, faults conf.Faults) error {
	for _, f := range faults {
		if _, err := w.stderr.Write([]byte(f.String() + "\n")); err != nil {
			return err
		}
	}
	if faults.Err() != nil {
		return cli.Exit("", exitFailed)
	}
	_, err := w.stdout.Write([]byte(what + ": ok\n"))
	return err
}

// loadConfig reads and checks a file. env looks up ${NAME}.
func loadConfig(path string, env func(string) string) (config, conf.Faults) {
	body, err := os.ReadFile(path)
	if err != nil {
		return config{}, conf.Faults{{File: path, Line: 1, Column: 1, Message: "the file cannot be read: " + err.Error()}}
	}
	look := func(name string) (string, bool) { v := env(name); return v, v != "" }
	root, doc := conf.Parse(path, body, conf.Options{Env: look})
	r := configReader{dir: filepath.Dir(path), env: env}
	r.root(root.Object())
	return r.c, doc.Faults()
}

type configReader struct {
	c   config
	dir string
	env func(string) string
}

func (r *configReader) root(o *conf.Object) {
	c := &r.c
	c.URL = strings.TrimSuffix(secureURL(o.Get("url"), ""), "/")
	o.Get("url").Need("give the gatekeeper's public URL")
	c.Listen = o.Get("listen").String(defaultListen)
	c.AdminListen = o.Get("admin_listen").String(defaultAdmin)
	r.database(o.Get("database"))
	r.issuers(o.Get("issuers"))
	r.slack(o.Get("slack"))
	r.github(o.Get("github"))
	r.rules(o.Get("rules"))
	r.keys(o)
	r.people(o.Get("people"))
	r.sso(o.Get("sso"))
	r.session(o.Get("session_key_file"))
	r.clouds(o)
	r.limits(o.Get("limits"))
	c.Proxies = proxies(o.Get("trusted_proxies"))
	r.audit(o.Get("audit"))
	r.telemetry(o.Get("telemetry"))
	o.Close()
}

// relative paths are relative to the file.
func (r *configReader) path(p string) string {
	if filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(r.dir, p)
}

func (r *configReader) issuers(v conf.Value) {
	v.Need("name at least one issuer whose tokens are trusted")
	names := map[string]bool{}
	for _, item := range v.List() {
		o := item.Object()
		i := oidc.Issuer{
			Type: o.Get("type").Required(), Name: o.Get("name").String(""), URL: o.Get("url").String(""),
			Audience: o.Get("audience").String(r.c.URL), Owners: o.Get("owners").Strings(), Algorithms: o.Get("algorithms").Strings(),
		}
		o.Close()
		if i.Type == "" {
			continue
		}
		complete, err := i.Complete()
		if err != nil {
			item.Fault("%s", said(err))
		}
		if names[complete.Name] {
			item.Fault("an issuer %q stands already; give each a name of its own", complete.Name)
		}
		names[complete.Name] = true
		r.c.Issuers = append(r.c.Issuers, complete)
	}
}

var (
	slackTeam    = regexp.MustCompile(`^[TE][A-Z0-9]{2,}$`)
	slackChannel = regexp.MustCompile(`^[CGD][A-Z0-9]{2,}$`)
	slackUser    = regexp.MustCompile(`^[UW][A-Z0-9]{2,}$`)
)

func (r *configReader) slack(v conf.Value) {
	o := v.Object()
	s := slackConfig{
		BotToken: o.Secret("bot_token", r.dir), SigningSecret: o.Secret("signing_secret", r.dir), AppToken: o.Secret("app_token", r.dir),
		APIURL: secureURL(o.Get("api_url"), defaultSlack),
		Team:   matching(o.Get("team"), slackTeam, "T0ACME"), Channel: matching(o.Get("channel"), slackChannel, "C0DEPLOYS"),
	}
	named := func(key string) bool { return o.Get(key).Present() || o.Get(key+"_file").Present() }
	s.SocketMode = named("app_token") && !named("signing_secret")
	o.Close()
	switch {
	case !v.Present():
		v.Fault("is missing; people approve in Slack")
	case s.BotToken == "":
		o.Get("bot_token").Fault("is missing; Slack shows it under OAuth & Permissions")
	case s.SigningSecret == "" && s.AppToken == "":
		o.Get("signing_secret").Fault("is missing; Slack shows it under Basic Information (or set app_token for Socket Mode)")
	case strings.HasPrefix(s.BotToken, "xapp-"):
		o.Get("bot_token").Fault("is an app-level token (xapp-…), which belongs into app_token; the bot token (xoxb-…) is under OAuth & Permissions")
	case strings.HasPrefix(s.AppToken, "xoxb-"), strings.HasPrefix(s.AppToken, "xoxp-"):
		o.Get("app_token").Fault("is no app-level token (xapp-…); Slack makes one under Basic Information, with the scope connections:write")
	}
	r.c.Slack = s
}

func matching(v conf.Value, shape *regexp.Regexp, example string) string {
	s := v.String("")
	if s != "" && !shape.MatchString(s) {
		v.Fault("%q was found; an id such as %s is wanted", s, example)
	}
	return s
}

// secureURL takes https, and http for loopback only: a token or an answer
// that decides must not be read or changed on the way.
func secureURL(v conf.Value, def string) string {
	s := v.String(def)
	if s == "" {
		return s
	}
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "" || u.User != nil:
		v.Fault("%q is no URL; https://host is wanted", s)
	case u.Scheme == "http" && gatekeeper.Loopback(u.Hostname()):
	case u.Scheme != "https":
		v.Fault("%q has to be https; http is taken for loopback only", s)
	}
	return s
}
