package main

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/conf"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/ledger/sink"
)

// sinkConfig is one of audit.sinks.
type sinkConfig struct {
	Type   string // file, stdout, syslog, webhook
	Name   string // of its cursor
	Path   string // of a file
	URL    string // of a webhook
	Addr   string // of a syslog receiver
	TLS    *tls.Config
	Token  string
	Format string
	Vendor string
	Events []string
}

// ledgerOrigin has nothing that a checkpoint's lines or a key's parts end at.
var ledgerOrigin = regexp.MustCompile(`^[A-Za-z0-9._~:/-]+$`)

// eventPattern is a type of event, or the beginning of some.
var eventPattern = regexp.MustCompile(`^([a-z_]+\.)?([a-z_]+|\*)$`)

func (r *configReader) audit(v conf.Value) {
	o := v.Object()
	r.c.Origin = matching(o.Get("origin"), ledgerOrigin, "gatekeeper.example.com/ledger")
	names := map[string]bool{}
	for _, item := range o.Get("sinks").List() {
		s := r.sink(item.Object())
		if s.Type != "" && names[s.Name] {
			item.Fault("a sink %q stands already; give one of them a name", s.Name)
		}
		names[s.Name] = true
		r.c.Sinks = append(r.c.Sinks, s)
	}
	o.Close()
}

func (r *configReader) sink(o *conf.Object) sinkConfig {
	defer o.Close()
	s := sinkConfig{
		Type:   o.Get("type").Enum("", "file", "stdout", "syslog", "webhook"),
		Format: o.Get("format").Enum("jsonl", "jsonl", "ocsf", "cef"), Events: o.Get("events").Strings(),
	}
	for _, p := range s.Events {
		if !eventPattern.MatchString(p) {
			o.Get("events").Fault("%q was found; a type such as request.approved, or vote.*, is wanted", p)
		}
	}
	switch s.Type {
	case "file":
		s.Path = r.sinkFile(o)
	case "stdout":
	case "syslog":
		s.Addr, s.TLS = r.syslog(o)
	case "webhook":
		r.webhook(o, &s)
	default:
		if !o.Get("type").Present() {
			o.Get("type").Fault("is missing; file, stdout, syslog and webhook are there")
		}
	}
	s.Name = o.Get("name").String(sinkName(s))
	return s
}

// sinkName is where a sink leads to, without what may be secret, so that its
// cursor is found again whatever place it has in the file.
func sinkName(s sinkConfig) string {
	where := s.Path + s.Addr
	if u, err := url.Parse(s.URL); s.URL != "" && err == nil {
		where = u.Host + u.Path
	}
	if where == "" {
		return s.Type
	}
	return s.Type + ":" + where
}

func (r *configReader) sinkFile(o *conf.Object) string {
	at := o.Get("path")
	path := at.String("")
	if link := o.Get("url"); link.Present() && path == "" {
		at, path = link, strings.TrimPrefix(link.String(""), "file://")
	}
	switch {
	case path == "":
		at.Fault("is missing; name the file")
		return ""
	case strings.Contains(path, "://"):
		at.Fault("%q is no path", path)
		return ""
	}
	path = r.path(path)
	if info, err := os.Stat(filepath.Dir(path)); err != nil || !info.IsDir() { //nolint:gosec // the operator names it
		at.Fault("%s cannot be found; make the directory, or name another", filepath.Dir(path))
	}
	return path
}

// syslog takes tls:// and tcp://; the ports are the registered ones.
func (r *configReader) syslog(o *conf.Object) (addr string, config *tls.Config) {
	v := o.Get("url")
	raw := v.Required()
	ca, cert, key := o.Get("ca_file"), o.Get("cert_file"), o.Get("key_file")
	u, err := url.Parse(raw)
	if err != nil || u.Hostname() == "" || u.User != nil || (u.Path != "" && u.Path != "/") {
		if raw != "" {
			v.Fault("%q is no address; tls://logs.example.com:6514 is one", raw)
		}
		return "", nil
	}
	scheme := strings.TrimPrefix(u.Scheme, "syslog+")
	if scheme == "syslog" {
		scheme = "tcp"
	}
	port := map[string]string{"tls": "6514", "tcp": "601"}[scheme]
	if port == "" {
		v.Fault("%q was found; tls:// or tcp:// is wanted", u.Scheme+"://")
		return "", nil
	}
	if u.Port() != "" {
		port = u.Port()
	}
	addr = net.JoinHostPort(u.Hostname(), port)
	if scheme == "tls" {
		config = r.tls(u.Hostname(), ca, cert, key)
	} else if !gatekeeper.Loopback(u.Hostname()) {
		v.Warn("sends who approved what in the clear; tls:// keeps it from being read and changed on the way")
	}
	return addr, config
}

// tls trusts the named CA alone, or the system's.
func (r *configReader) tls(host string, ca, cert, key conf.Value) *tls.Config {
	c := &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}
	if name := ca.String(""); name != "" {
		body, err := os.ReadFile(r.path(name)) //nolint:gosec // the operator names it
		c.RootCAs = x509.NewCertPool()
		if err != nil || !c.RootCAs.AppendCertsFromPEM(body) {
			ca.Fault("%s holds no certificate in PEM", r.path(name))
		}
	}
	if cert.String("") != "" || key.String("") != "" {
		pair, err := tls.LoadX509KeyPair(r.path(cert.String("")), r.path(key.String("")))
		if err != nil {
			cert.Fault("cert_file and key_file are no pair of a certificate and its key: %v", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c
}

func (r *configReader) webhook(o *conf.Object, s *sinkConfig) {
	if !o.Get("url").Present() {
		o.Get("url").Fault("is missing; give the receiver's address")
	}
	s.URL = secureURL(o.Get("url"), "")
	s.Token = o.Secret("token", r.dir)
	s.Vendor = o.Get("vendor").Enum(sink.VendorOf(s.URL), "splunk", "datadog", "elastic", "other")
}
