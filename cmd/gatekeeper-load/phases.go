package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/api"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/ciissuer"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/slackbox"
)

// job is one run of a pipeline.
type job struct {
	n      int
	tokens []string // fresh ones, minted before the time is taken
	cloud  string
	id     string
	woken  chan time.Time
}

func (w *world) jobs() []*job {
	all := make([]*job, w.o.runs)
	var wg sync.WaitGroup
	for part := range 2 {
		wg.Go(func() {
			for i := part; i < len(all); i += 2 {
				all[i] = w.job(i)
			}
		})
	}
	wg.Wait()
	return all
}

func (w *world) job(n int) *job {
	claims := maps.Clone(ciissuer.Defaults())
	claims["run_id"], claims["check_run_id"], claims["environment"] = fmt.Sprint(w.first+int64(n)), fmt.Sprint(w.first+int64(n)), environment(n)
	claims["repository"], claims["repository_id"] = fmt.Sprintf("acme/service-%03d", n%repositories), fmt.Sprint(1000+n%repositories)
	j := &job{n: n, woken: make(chan time.Time, 1)}
	for range 3 {
		j.tokens = append(j.tokens, w.ci.Token(w.url, maps.Clone(claims)))
	}
	j.cloud = w.ci.Token("sts.amazonaws.com", maps.Clone(claims))
	return j
}

// repositories are as many as deploy in a large company; each has few requests
// that wait at once.
const repositories = 1000

func environment(n int) string { return fmt.Sprintf("load-%03d", n%channels) }

// call is one call of a CI step.
func (w *world) call(ctx context.Context, method, path, token, body string, into any) error {
	r, err := http.NewRequestWithContext(ctx, method, w.url+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+token)
	answer, err := w.client.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	raw, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode/100 != 2 {
		err = fmt.Errorf("%s %s: %s %s", method, path, answer.Status, raw)
	}
	if err != nil || into == nil {
		return err
	}
	return json.Unmarshal(raw, into)
}

// each does something with every job, so many at a time.
func each(jobs []*job, workers int, f *figures, do func(*job) error) {
	began := time.Now()
	queue := make(chan *job)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for j := range queue {
				f.time(func() error { return do(j) })
			}
		})
	}
	for _, j := range jobs {
		queue <- j
	}
	close(queue)
	wg.Wait()
	f.took = time.Since(began)
}

func (w *world) open(ctx context.Context, jobs []*job) *figures {
	f := &figures{name: "open a request"}
	each(jobs, w.o.workers, f, func(j *job) error {
		var r api.Request
		err := w.call(ctx, http.MethodPost, "/v1/requests", j.tokens[0], `{"environment":"`+environment(j.n)+`","reason":"load"}`, &r)
		j.id = r.ID
		return err
	})
	return f
}

// wait has steps wait, each with a poll that it renews, until theirs is
// decided. They come as many at once as callers do elsewhere.
func (w *world) wait(ctx context.Context, jobs []*job) error {
	come := 0
	for some := range slices.Chunk(jobs, w.o.workers) {
		w.poll(ctx, some)
		come += len(some)
		if err := w.waiting(ctx, come); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) poll(ctx context.Context, jobs []*job) {
	for _, j := range jobs {
		go func() {
			for ctx.Err() == nil {
				var r api.Request
				err := w.call(ctx, http.MethodGet, "/v1/requests/"+j.id+"?wait=60s", j.tokens[1], "", &r)
				if err == nil && r.State != "pending" {
					j.woken <- time.Now()
					return
				}
			}
		}()
	}
}

// waiting waits until the gatekeeper says that so many wait.
func (w *world) waiting(ctx context.Context, n int) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for range 6000 {
		if w.gauge("gatekeeper_waiting_steps") >= w.others+float64(n) {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return fmt.Errorf("only %.0f of %d steps wait", w.gauge("gatekeeper_waiting_steps"), n)
}

// message finds a request's message, once it is posted.
func (w *world) message(ctx context.Context, j *job) (slackbox.Message, slackbox.Button, error) {
	var found slackbox.Message
	var button slackbox.Button
	err := w.slack.Wait(ctx, func() bool {
		for _, m := range w.slack.Messages(channel(j.n % channels)) {
			for _, b := range m.Buttons() {
				if b.Text == "Approve" && b.Value == j.id {
					found, button = m, b
					return true
				}
			}
		}
		return false
	})
	return found, button, err
}

// click approves one request after the other, as people do, and times the
// acknowledgement and the way to the waiting step.
func (w *world) click(ctx context.Context, jobs []*job) (acked, reached *figures) {
	acked, reached = &figures{name: "click acknowledged"}, &figures{name: "click to the waiting step"}
	began := time.Now()
	for _, j := range jobs {
		m, b, err := w.message(ctx, j)
		if err != nil {
			acked.add(0, err)
			continue
		}
		at := time.Now()
		acked.time(func() error {
			_, err := w.slack.Click(ctx, slackbox.Click{User: "U0BOB", Channel: m.Channel, TS: m.TS, ActionID: b.ActionID, Value: b.Value})
			return err
		})
		select {
		case woken := <-j.woken:
			reached.add(woken.Sub(at), nil)
		case <-time.After(30 * time.Second):
			reached.add(0, fmt.Errorf("request %s was not answered", j.id))
		}
	}
	acked.took, reached.took = time.Since(began), time.Since(began)
	return acked, reached
}

func (w *world) redeem(ctx context.Context, jobs []*job) *figures {
	f := &figures{name: "redeem (stand-in STS included)"}
	each(jobs, w.o.workers, f, func(j *job) error {
		return w.call(ctx, http.MethodPost, "/v1/requests/"+j.id+"/credentials", j.tokens[2], `{"name":"deploy","subject_token":"`+j.cloud+`"}`, nil)
	})
	return f
}

// settled waits until a gauge is at most that.
func (w *world) settled(ctx context.Context, gauge string, most float64) error {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		if now := w.gauge(gauge); now >= 0 && now <= most {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}
