package main

import (
	"errors"
	"io/fs"
	"net"
	"net/url"
	"os"
	"strings"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/conf"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/store"
)

func (r *configReader) database(v conf.Value) {
	name := v.String("sqlite:gatekeeper.db")
	kind, where, _ := strings.Cut(name, ":")
	switch {
	case kind == "sqlite" && where != "":
		r.c.Database = r.path(where)
	case store.Postgres(name):
		r.c.Database = name
		if u, err := url.Parse(name); err != nil || u.Host == "" && u.Query().Get("host") == "" {
			v.Fault("is no URL of PostgreSQL; postgres://user@host/db is wanted, and its password comes from PGPASSWORD or a passfile")
		}
	default:
		v.Fault("%q was found; sqlite:FILE or postgres://user@host/db is wanted", kind)
	}
}

// sharedKeys wants the keys to be there where replicas share a database: each
// would make keys of its own, and the others' signatures would not verify.
func (c config) sharedKeys() error {
	if !store.Postgres(c.Database) {
		return nil
	}
	needed := []string{c.SigningKey, c.LedgerKey}
	if c.pages() {
		needed = append(needed, c.SessionKey)
	}
	for _, path := range needed {
		if _, err := os.Stat(path); path != "" && errors.Is(err, fs.ErrNotExist) {
			return gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, "%s is missing; replicas that share a database need the same keys: "+
				"make them once with `gatekeeper keys init`, and give each replica the files", path)
		}
	}
	return nil
}

// pages says whether people can sign in: with company accounts, or with
// passkeys, which need a host name.
func (c config) pages() bool {
	u, err := url.Parse(c.URL)
	return c.SSO != nil || err == nil && net.ParseIP(u.Hostname()) == nil
}
