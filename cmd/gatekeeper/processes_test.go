package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/parts"
)

// process is the real gatekeeper in a process of its own. It is killed with
// SIGKILL and started again, over and over.
type process struct {
	*stage
	t      testing.TB
	path   string
	config string
	url    string // where it listens; its public URL is the stage's
	admin  string
	args   []string // more of them
	cmd    *exec.Cmd
	exited chan struct{}
	log    *buffer
}

// newProcess is one on SQLite.
func newProcess(t testing.TB, path string, rules string) *process {
	t.Helper()
	s := newPlainStage(t, rules)
	config, _ := s.configFile(t)
	return s.process(t, path, config)
}

// newPlainStage is a stage whose ports somebody else will bind.
func newPlainStage(t testing.TB, rules string) *stage {
	t.Helper()
	s := newStaged(t)
	if err := os.WriteFile(s.cfg.Rules, []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	// Ports that nobody else gets while the process is not there.
	for _, l := range []*net.Listener{&s.ears, &s.doors} {
		_ = (*l).Close()
		var lc net.ListenConfig
		var err error
		if *l, err = lc.Listen(t.Context(), "tcp", parts.Addr(t)); err != nil {
			t.Fatal(err)
		}
		_ = (*l).Close()
	}
	url := "http://" + s.ears.Addr().String()
	s.cfg = s.config(url)
	s.slack.SetCallbacks(url+"/webhook/slack/interactions", url+"/webhook/slack/commands", url+"/webhook/slack/events")
	return s
}

// process is one on the stage's ports.
func (s *stage) process(t testing.TB, path, config string) *process {
	p := &process{stage: s, t: t, path: path, config: config, url: s.cfg.URL, admin: s.doors.Addr().String(), log: &buffer{}}
	t.Cleanup(p.kill)
	return p
}

// replicas are processes of these programs on one PostgreSQL database, not yet
// started. The first has the stage's ports.
func (s *stage) replicas(t testing.TB, database func(i int) string, paths ...string) (all []*process) {
	t.Helper()
	for i, path := range paths {
		s.cfg.Database = database(i)
		config, env := s.configFile(t)
		p := s.process(t, path, config)
		if i == 0 {
			if got := command(t.Context(), env, "keys", "init", "--config", config); got.code != 0 {
				t.Fatalf("exit %d\n%s", got.code, got.stderr)
			}
		} else {
			listen, admin := parts.Addr(t), parts.Addr(t)
			p.url, p.admin = "http://"+listen, admin
		}
		p.config = s.configFileOn(t, fmt.Sprintf("replica%d.yaml", i), p.url[len("http://"):], p.admin)
		all = append(all, p)
	}
	return all
}

// start runs the process and waits until it is ready.
func (p *process) start() {
	p.t.Helper()
	p.begin()
	p.ready(http.StatusOK)
}

// begin runs the process.
func (p *process) begin() {
	p.t.Helper()
	p.cmd = exec.Command(p.path, append([]string{"serve", "--config", p.config}, p.args...)...)
	p.cmd.Env = os.Environ()
	for name, value := range slackEnv() {
		p.cmd.Env = append(p.cmd.Env, name+"="+value)
	}
	p.cmd.Stderr = p.log
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	exited := make(chan struct{})
	p.exited = exited
	go func(c *exec.Cmd) { _ = c.Wait(); close(exited) }(p.cmd)
}

// ready waits until /readyz answers so.
func (p *process) ready(want int) {
	p.t.Helper()
	for deadline := time.Now().Add(60 * time.Second); time.Now().Before(deadline); {
		if status, _ := p.probe("/readyz"); status == want {
			return
		}
		select {
		case <-p.exited:
			p.t.Fatalf("the service ended at its start:\n%s", p.log)
		case <-time.After(2 * time.Millisecond): // another process is waited for by asking
		}
	}
	p.t.Fatalf("the service does not answer:\n%s", p.log)
}

// probe asks the admin port; 0 is no answer.
func (p *process) probe(path string) (status int, body string) {
	client := http.Client{Timeout: 5 * time.Second}
	return fetch(&client, "http://"+p.admin+path)
}

func (p *process) kill() {
	if p.cmd != nil {
		_ = p.cmd.Process.Kill()
		<-p.exited
	}
}

// stop ends the process well.
func (p *process) stop() {
	p.t.Helper()
	_ = p.cmd.Process.Signal(os.Interrupt)
	<-p.exited
	if !p.cmd.ProcessState.Success() {
		p.t.Errorf("it did not stop well: %v\n%s", p.cmd.ProcessState, p.log)
	}
}

// fetch is an answer's status and text; 0 is no answer.
func fetch(client *http.Client, url string) (status int, body string) {
	resp, err := client.Get(url)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(text)
}
