package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/parts"
)

// rsyslog is the real receiver, with TLS, in a process of its own.
type rsyslog struct {
	t    testing.TB
	path string
	conf string
	addr string
	out  string
	ca   string
	cmd  *exec.Cmd
	dead chan struct{}
	log  *buffer
}

const rsyslogConf = `global(workDirectory="%[1]s" maxMessageSize="128k" defaultNetstreamDriver="gtls"
  defaultNetstreamDriverCAFile="%[1]s/cert.pem" defaultNetstreamDriverCertFile="%[1]s/cert.pem" defaultNetstreamDriverKeyFile="%[1]s/key.pem")
main_queue(queue.type="Direct")
module(load="imtcp" StreamDriver.Name="gtls" StreamDriver.Mode="1" StreamDriver.AuthMode="anon")
template(name="raw" type="string" string="%%msg%%\n")
template(name="header" type="string" string="%%pri%% %%app-name%% %%msgid%% %%structured-data%%\n")
ruleset(name="audit" queue.type="Direct") {
  action(type="omfile" file="%[1]s/out" template="raw" asyncWriting="off" flushOnTXEnd="on")
  action(type="omfile" file="%[1]s/headers" template="header" asyncWriting="off" flushOnTXEnd="on")
}
input(type="imtcp" address="127.0.0.1" port="%[2]s" ruleset="audit")
`

func newRsyslog(t *testing.T) *rsyslog {
	t.Helper()
	const install = "apt-get install rsyslog rsyslog-gnutls"
	path := "/usr/sbin/rsyslogd" // not on everybody's PATH
	if _, err := os.Stat(path); err != nil {
		path = parts.Find(t, "rsyslogd", install)
	}
	if found, _ := filepath.Glob("/usr/lib/*/rsyslog/lmnsd_gtls.so"); len(found) == 0 {
		parts.Find(t, "rsyslog-gnutls", install)
	}
	dir := t.TempDir()
	addr := parts.Addr(t)
	_, port, _ := net.SplitHostPort(addr)
	r := &rsyslog{t: t, path: path, addr: addr, conf: filepath.Join(dir, "conf"), out: filepath.Join(dir, "out"), ca: filepath.Join(dir, "cert.pem"), log: &buffer{}}
	writeCert(t, dir)
	if err := os.WriteFile(r.conf, fmt.Appendf(nil, rsyslogConf, dir, port), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.kill)
	return r
}

func writeCert(t testing.TB, dir string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "rsyslog"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: cert}, "key.pem": {Type: "PRIVATE KEY", Bytes: der}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// start runs it and waits until its port answers.
func (r *rsyslog) start() {
	r.t.Helper()
	r.cmd = exec.Command(r.path, "-n", "-iNONE", "-f", r.conf)
	r.cmd.Stdout, r.cmd.Stderr = r.log, r.log
	if err := r.cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	dead := make(chan struct{})
	r.dead = dead
	go func(c *exec.Cmd) { _ = c.Wait(); close(dead) }(r.cmd)
	until(r.t, "rsyslogd listens\n"+r.log.String(), func() bool {
		conn, err := net.Dial("tcp", r.addr)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
}

func (r *rsyslog) kill() {
	if r.cmd != nil {
		_ = r.cmd.Process.Kill()
		<-r.dead
	}
}

const nobodysApproval = `rules:
  - name: payments-staging
    match: {repository: acme/payments, repository_id: "1234567"}
    environment: production
    approval: none
    credentials:
      deploy: {aws: {role_arn: "arn:aws:iam::111122223333:role/payments-deploy"}}
`

// The gatekeeper and the receivers are killed with SIGKILL, over and over,
// while jobs come in: every event of the ledger is with both receivers, in
// order, some of them twice.
func TestSinksKilled(t *testing.T) {
	t.Parallel() // it mostly waits
	if testing.Short() {
		t.Skip("it starts the real binaries a dozen times; run without -short")
	}
	r := newRsyslog(t)
	p := newProcess(t, parts.Gatekeeper(t), nobodysApproval)
	file := filepath.Join(p.dir, "audit.jsonl")
	config := fileOf(p.config) + fmt.Sprintf("audit:\n  sinks:\n    - {type: syslog, url: %q, ca_file: %q}\n    - {type: file, path: audit.jsonl}\n", "tls://"+r.addr, r.ca)
	if err := os.WriteFile(p.config, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	r.start()
	p.start()
	ctx, cancel := context.WithTimeout(t.Context(), 120*time.Second)
	defer cancel()
	jobs := make(chan outcomeOf, 100)
	const rounds, each = 5, 3
	for round := range rounds {
		for job := range each {
			env := p.jobEnv(runClaims(round*each + job))
			go func() { jobs <- command(ctx, env, "request", "--environment", "production", "--output", "json") }()
		}
		<-jobs // at least one is through: events are on their way
		if round%2 == 0 {
			r.kill()
			p.kill()
			p.start()
			r.start()
		} else {
			p.kill()
			r.kill()
			r.start()
			p.start()
		}
	}
	for range rounds*each - rounds {
		<-jobs
	}
	env := map[string]string{"SLACK_BOT_TOKEN": "x", "SLACK_SIGNING_SECRET": "x"}
	want := exportedIDs(t, command(t.Context(), env, "audit", "export", "--config", p.config).stdout)
	if len(want) < rounds*each {
		t.Fatalf("only %d events are in the ledger\n%s", len(want), p.log)
	}
	for name, path := range map[string]string{"rsyslog": r.out, "file": file} {
		var ids []string
		until(t, name+" has all events\n"+p.log.String(), func() bool {
			ids, _ = deliveredIDs(t, fileOf(path))
			return len(ids) >= len(want)
		})
		if strings.Join(ids, " ") != strings.Join(want, " ") {
			t.Errorf("%s: got\n%v, want\n%v", name, ids, want)
		}
		if got := command(t.Context(), env, "audit", "verify", "--config", p.config, "--checkpoint", path); got.code != 0 {
			t.Errorf("%s: its checkpoints: %s", name, got.stderr)
		}
		t.Logf("%s: %d events, %d lines", name, len(ids), strings.Count(fileOf(path), "\n"))
	}
	headers := fileOf(filepath.Join(filepath.Dir(r.out), "headers"))
	if !strings.Contains(headers, `110 gatekeeper request.approved [origin software="gatekeeper" swVersion="dev"][meta sequenceId="`) && !strings.Contains(headers, "gatekeeper request.approved [") {
		t.Errorf("rsyslog read other headers: %s", headers[:min(500, len(headers))])
	}
}
