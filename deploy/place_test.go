package deploy

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/parts"
	"github.com/goccy/go-yaml"
)

// program is the real one.
func program(t *testing.T) string {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("it is deployed on Linux")
	}
	return parts.Gatekeeper(t)
}

func TestMain(m *testing.M) {
	code := m.Run()
	parts.Tidy()
	os.Exit(code)
}

// place stands in for a container or a machine: each of its directories is one
// of the test's.
type place map[string]mount

type mount struct {
	dir      string
	writable bool
}

// mounted adds a directory with files.
func (p place) mounted(t *testing.T, at string, writable bool, files map[string]string) {
	t.Helper()
	m := mount{t.TempDir(), writable}
	for name, body := range files {
		if err := os.WriteFile(filepath.Join(m.dir, name), []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p[at] = m
}

// find is the mount of an absolute path and the path within the test's
// directory.
func (p place) find(path string) (mount, string) {
	for at, m := range p {
		if rest, ok := strings.CutPrefix(path+"/", at+"/"); ok {
			return m, filepath.Join(m.dir, rest)
		}
	}
	return mount{}, ""
}

// settled is a gatekeeper.yaml whose paths are the test's and which asks nobody
// outside; admin is where it tells how it is.
func (p place) settled(t *testing.T, body string) (file, admin string) {
	t.Helper()
	var c map[string]any
	if err := yaml.Unmarshal([]byte(body), &c); err != nil {
		t.Fatal(err)
	}
	for key, value := range c {
		text, _ := value.(string)
		path := strings.TrimPrefix(text, "sqlite:")
		if !strings.HasPrefix(path, "/") {
			continue
		}
		m, here := p.find(path)
		if here == "" {
			t.Errorf("%s: nothing is mounted at %s", key, path)
		}
		if key == "database" && !m.writable {
			t.Errorf("the database %s cannot be written", path)
		}
		c[key] = strings.TrimSuffix(text, path) + here
	}
	p.alone(t, c)
	admin = parts.Addr(t)
	c["listen"], c["admin_listen"] = parts.Addr(t), admin
	mapped, err := yaml.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(p["/etc/gatekeeper"].dir, "gatekeeper.yaml")
	if err := os.WriteFile(file, mapped, 0o600); err != nil {
		t.Fatal(err)
	}
	return file, admin
}

// alone has Slack, GitHub and the database elsewhere than they are, where
// nobody answers.
func (place) alone(t *testing.T, c map[string]any) {
	t.Helper()
	const nobody = "http://127.0.0.1:1/"
	slack, ok := c["slack"].(map[string]any)
	issuers, is := c["issuers"].([]any)
	if !ok || !is || len(issuers) != 1 {
		t.Fatalf("no Slack or other issuers: %v", c)
	}
	slack["api_url"] = nobody
	issuers[0].(map[string]any)["url"] = strings.TrimSuffix(nobody, "/")
	if database, _ := c["database"].(string); strings.HasPrefix(database, "postgres:") {
		c["database"] = "postgres://gatekeeper@127.0.0.1:1/gatekeeper"
	}
}

// starts wants the real gatekeeper to take the configuration and to live. With
// its database away it waits, and lives too.
func (p place) starts(t *testing.T, body string) {
	t.Helper()
	t.Setenv("SLACK_BOT_TOKEN", "xoxb-1")
	t.Setenv("SLACK_SIGNING_SECRET", "s")
	t.Setenv("GATEKEEPER_URL", "https://gatekeeper.example.com")
	file, admin := p.settled(t, body)
	if t.Failed() {
		return
	}
	p.keys(t, file)
	run(t, program(t), "config", "check", file)
	run(t, program(t), "rules", "check", p.rules(t, file))
	var said bytes.Buffer
	serve := exec.CommandContext(t.Context(), program(t), "serve", "--config", file)
	serve.Stdout, serve.Stderr = &said, &said
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		ended <- serve.Wait()
		close(ended)
	}()
	alive := lives(t, "http://"+admin+"/healthz", ended)
	_ = serve.Process.Kill() // it may have ended
	<-ended                  // said is written until then
	if !alive {
		t.Errorf("it does not start:\n%s", said.String())
	}
}

// keys are a Secret's, or made at the first start where they can be.
func (p place) keys(t *testing.T, file string) {
	t.Helper()
	if m, ok := p["/keys"]; ok {
		run(t, program(t), "keys", "init", "--config", file)
		if made, _ := filepath.Glob(filepath.Join(m.dir, "*")); len(made) != 3 {
			t.Errorf("keys init made %v", made)
		}
		return
	}
	var c map[string]string
	body, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_ = yaml.Unmarshal(body, &c) // what is no text is left out
	for _, key := range []string{"signing_key_file", "ledger_key_file", "session_key_file"} {
		inside := false
		for _, m := range p {
			inside = inside || m.writable && strings.HasPrefix(c[key], m.dir+"/")
		}
		if !inside {
			t.Errorf("%s: %q cannot be made there", key, c[key])
		}
	}
}

// rules are where the configuration says.
func (place) rules(t *testing.T, file string) string {
	t.Helper()
	body, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var c struct{ Rules string }
	if err := yaml.Unmarshal(body, &c); err != nil {
		t.Fatal(err)
	}
	if filepath.IsAbs(c.Rules) {
		return c.Rules
	}
	return filepath.Join(filepath.Dir(file), c.Rules)
}

func lives(t *testing.T, url string, ended <-chan error) bool {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		select {
		case <-ended:
			return false
		default:
		}
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		if answer, err := http.DefaultClient.Do(request); err == nil {
			_, _ = io.Copy(io.Discard, answer.Body)
			_ = answer.Body.Close()
			return answer.StatusCode == http.StatusOK
		}
	}
	return false
}
