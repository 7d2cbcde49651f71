package main

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
)

// configure writes the configuration of a gatekeeper that is to be driven.
func configure(_ context.Context, args []string, out io.Writer) error {
	o := options{}
	set := flag.NewFlagSet("gatekeeper-load config", flag.ContinueOnError)
	o.flags(set)
	dir := set.String("dir", ".", "where gatekeeper.yaml and rules.yaml are written")
	set.StringVar(&o.database, "database", "", "postgres://… ; SQLite when empty")
	if err := set.Parse(args); err != nil {
		return err
	}
	if o.url == "" {
		o.url = "http://127.0.0.1:8080"
	}
	if o.key == "" {
		o.key = filepath.Join(*dir, "ci.pem")
	}
	if err := o.check(); err != nil {
		return err
	}
	admin, err := url.Parse(o.admin)
	if err != nil || admin.Host == "" {
		return fmt.Errorf("--admin %q is no URL; http://127.0.0.1:9090 is one", o.admin)
	}
	public, err := url.Parse(o.url)
	if err != nil {
		return err
	}
	for _, name := range []string{"gatekeeper.yaml", "rules.yaml"} {
		if _, err := os.Stat(filepath.Join(*dir, name)); err == nil {
			return fmt.Errorf("%s is there already, and stays as it is", filepath.Join(*dir, name))
		}
	}
	if err := os.MkdirAll(*dir, 0o700); err != nil {
		return err
	}
	w := &world{o: o, url: o.url}
	if err := w.standIns(); err != nil {
		return err
	}
	defer w.close()
	listen := public.Host
	if public.Port() == "" { // a proxy stands before it
		listen = "127.0.0.1:8080"
	}
	if err := w.files(*dir, listen, admin.Host); err != nil {
		return err
	}
	fmt.Fprintf(out, "gatekeeper keys init --config %[1]s && gatekeeper serve --config %[1]s\ngatekeeper-load --url %[2]s --admin %[3]s --stand-ins %[4]s --key %[5]s\n",
		filepath.Join(*dir, "gatekeeper.yaml"), o.url, o.admin, o.standIns, o.key)
	return nil
}

// issuerKey reads a key, and makes one that is not there.
func issuerKey(path string) (*rsa.PrivateKey, error) {
	if path == "" {
		return nil, nil
	}
	body, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return makeIssuerKey(path)
	}
	block, _ := pem.Decode(body)
	if err != nil {
		return nil, err
	}
	if block == nil {
		return nil, fmt.Errorf("--key %s holds no key in PEM", path)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	key, isRSA := parsed.(*rsa.PrivateKey)
	if err != nil || !isRSA {
		return nil, fmt.Errorf("--key %s holds no RSA key in PKCS#8", path)
	}
	return key, nil
}

func makeIssuerKey(path string) (*rsa.PrivateKey, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return key, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600)
}
