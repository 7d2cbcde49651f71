// Package enclave runs a program in a network namespace of its own, in which
// names of the program's choice lead to an address that looks public and goes
// nowhere. Some real services take issuers over HTTPS at public addresses only;
// inside, they take ours.
package enclave

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Address is where every name leads. It exists on lo of the namespace alone.
const Address = "203.0.113.10"

// Options of an enclave.
type Options struct {
	Dir   string   // for its files, certificates among them
	Hosts []string // the names
}

// Command is the program, to be run inside. It takes root, or a kernel that
// lets anybody have namespaces, and Linux with util-linux and iproute2.
func Command(ctx context.Context, o Options, program string, args ...string) (*exec.Cmd, error) {
	for _, part := range []string{"unshare", "ip", "mount"} {
		if _, err := exec.LookPath(part); err != nil {
			return nil, fmt.Errorf("a network namespace takes %s: %w", part, err)
		}
	}
	if err := makeCertificate(o); err != nil {
		return nil, err
	}
	hosts := filepath.Join(o.Dir, "hosts")
	if err := os.WriteFile(hosts, []byte("127.0.0.1 localhost\n"+Address+" "+strings.Join(o.Hosts, " ")+"\n"), 0o600); err != nil {
		return nil, err
	}
	const script = `ip link set lo up && ip addr add ` + Address + `/32 dev lo && mount --bind "$1" /etc/hosts && shift && exec "$@"`
	// Whatever is left in it dies with it, after a crash too.
	unshare := []string{"--net", "--mount", "--mount-proc", "--pid", "--fork", "--kill-child"}
	if os.Geteuid() != 0 {
		unshare = append(unshare, "--map-root-user")
	}
	cmd := exec.CommandContext(ctx, "unshare", append(append(unshare, "sh", "-ec", script, "sh", hosts, program), args...)...)
	cmd.Env = append(os.Environ(), "SSL_CERT_FILE="+filepath.Join(o.Dir, "ca.pem"))
	return cmd, nil
}

// Serve answers HTTPS inside, by the name that is called, until the server is
// closed.
func Serve(dir string, hosts map[string]http.Handler) (*http.Server, error) {
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "ca.pem"), filepath.Join(dir, "ca.key"))
	if err != nil {
		return nil, err
	}
	listener, err := tls.Listen("tcp", Address+":443", &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12})
	if err != nil {
		return nil, err
	}
	server := &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h, ok := hosts[r.Host]; ok {
			h.ServeHTTP(w, r)
			return
		}
		http.NotFound(w, r)
	})}
	go func() { _ = server.Serve(listener) }() // ends with Close, and says nothing else
	return server, nil
}
