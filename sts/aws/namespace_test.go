package aws_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/parts"
)

const (
	// versitygw fetches keys from public addresses only (its guard against
	// SSRF), so lo of the namespace has one; it leads nowhere else.
	publicAddress = "203.0.113.10"
	iamAt         = "127.0.0.1:7070"
	s3At          = "127.0.0.1:7071"
)

// The exchange with a real STS: versitygw verifies tokens against their
// issuers' keys and evaluates the trust policies that docs/credentials.md
// gives. The test runs itself again in a network and mount namespace of its
// own, where the issuers' names and port 443 are free to take.
func TestVersityGW(t *testing.T) {
	if dir := os.Getenv("GATEKEEPER_STS_NAMESPACE"); dir != "" {
		inNamespace(t, dir)
		return
	}
	versitygw := parts.Find(t, "versitygw", "go install github.com/versity/versitygw/cmd/versitygw@v1.8.0")
	for name, install := range map[string]string{"unshare": "util-linux", "mount": "mount", "ip": "iproute2"} {
		parts.Find(t, name, "apt-get install "+install)
	}
	if os.Geteuid() != 0 {
		parts.Missing(t, "it takes root to make a network namespace; run this test as root")
	}
	dir := t.TempDir()
	ca := authority(t, dir)
	hosts := filepath.Join(dir, "hosts")
	if err := os.WriteFile(hosts, []byte("127.0.0.1 localhost\n"+publicAddress+" "+ciHost+" "+ourHost+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 55*time.Second)
	defer cancel()
	script := `ip link set lo up && ip addr add ` + publicAddress + `/32 dev lo && mount --bind "$1" /etc/hosts && exec "$2" -test.run '^TestVersityGW$' -test.v`
	// Whatever is left in it dies with the namespace, after a crash too.
	cmd := exec.CommandContext(ctx, "unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "sh", "-ec", script, "sh", hosts, os.Args[0])
	cmd.Env = append(os.Environ(), "GATEKEEPER_STS_NAMESPACE="+dir, "GATEKEEPER_VERSITYGW="+versitygw, "SSL_CERT_FILE="+ca)
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestVersityGW/refusals") {
		t.Fatalf("%v\n%s", err, out)
	}
}

// listens waits until somebody does, or the program has ended.
func listens(ctx context.Context, address string, ended <-chan struct{}) error {
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		if conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address); err == nil {
			return conn.Close()
		}
		select {
		case <-again.C:
		case <-ended:
			return errors.New("it ended")
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// authority writes a certificate for both issuers that vouches for itself.
func authority(t *testing.T, dir string) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, DNSNames: []string{ciHost, ourHost},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	der, err := x509.CreateCertificate(rand.Reader, ca, ca, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "ca.pem")
	for name, block := range map[string]*pem.Block{path: {Type: "CERTIFICATE", Bytes: der}, filepath.Join(dir, "ca.key"): {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// serveTLS answers for each host at the public address.
func serveTLS(t *testing.T, dir string, hosts map[string]http.Handler) {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "ca.pem"), filepath.Join(dir, "ca.key"))
	if err != nil {
		t.Fatal(err)
	}
	listener, err := tls.Listen("tcp", publicAddress+":443", &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12})
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h, ok := hosts[r.Host]; ok {
			h.ServeHTTP(w, r)
			return
		}
		http.NotFound(w, r)
	})}
	go func() { _ = server.Serve(listener) }() // ends with Close
	t.Cleanup(func() { _ = server.Close() })
}
