package main

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"net/url"
	"strconv"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// running says which gatekeeper is driven, where it runs already.
type running struct {
	url, admin string
	standIns   string // the first of three addresses
	issuer     string // as that gatekeeper reaches it, where that is not where it listens
	key        string // file of the CI issuer's key, which has to be the same each time
	yes        bool
}

func (r *running) flags(set *flag.FlagSet) {
	set.StringVar(&r.url, "url", "", "a gatekeeper that runs already, configured by gatekeeper-load config; one is started when empty")
	set.StringVar(&r.admin, "admin", "http://127.0.0.1:9090", "its admin listener, which tells its memory and who waits")
	set.StringVar(&r.standIns, "stand-ins", "", "host:port on loopback of the CI issuer's stand-in; Slack's and STS's are at the next two ports")
	set.StringVar(&r.issuer, "issuer", "", "the CI issuer's stand-in as that gatekeeper reaches it, where a proxy stands between")
	set.StringVar(&r.key, "key", "", "the CI issuer's key, made when missing: a gatekeeper that runs already asks for keys only now and then")
	set.BoolVar(&r.yes, "yes", false, "drive one that is not on loopback: everything stays in its database and ledger for good")
}

// check refuses what could hit a gatekeeper that people use.
func (r *running) check() error {
	if r.url == "" {
		return nil
	}
	u, err := url.Parse(r.url)
	if err != nil || u.Host == "" {
		return fmt.Errorf("--url %q is no URL; http://127.0.0.1:8080 is one", r.url)
	}
	if !gatekeeper.Loopback(u.Hostname()) && !r.yes {
		return fmt.Errorf("%s is not on loopback: thousands of requests would stay in its ledger for good; --yes does it all the same", r.url)
	}
	if r.standIns == "" || r.key == "" {
		return errors.New("--url needs --stand-ins and --key as the gatekeeper was configured with them")
	}
	return nil
}

// places are where the stand-ins listen.
func (r *running) places() ([3]string, error) {
	at := [3]string{"127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"}
	if r.standIns == "" {
		return at, nil
	}
	host, first, err := net.SplitHostPort(r.standIns)
	port, notNumber := strconv.Atoi(first)
	if err != nil || notNumber != nil || port < 1 || port > 65533 || !gatekeeper.Loopback(host) {
		return at, fmt.Errorf("--stand-ins %q is no host:port on loopback; 127.0.0.1:7300 is one", r.standIns)
	}
	for i := range at {
		at[i] = net.JoinHostPort(host, strconv.Itoa(port+i))
	}
	return at, nil
}
