package main

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/githubbox"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/otlpbox"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/trace"
)

// A collector that is down, hangs or answers rubbish delays and fails
// nothing: a job has its credentials, and the gatekeeper stops in time.
func TestTracesWithoutACollector(t *testing.T) {
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
	cases := map[string]func(*testing.T){}
	for name, fault := range map[string]otlpbox.Fault{"down": otlpbox.Down, "hangs": otlpbox.Hang, "rubbish": otlpbox.Rubbish} {
		cases[name] = func(t *testing.T) {
			box := otlpbox.Start()
			t.Cleanup(box.Close)
			box.SetFault(fault)
			s := newStaged(t)
			s.cfg.Traces, _ = trace.Environment(func(string) string { return "" }, box.URL())
			var log buffer
			svc, stop, err := s.serve(context.WithoutCancel(t.Context()), slog.New(slog.NewTextHandler(&log, nil)))
			if err != nil {
				t.Fatal(err)
			}
			p := &played{stage: s, svc: svc, log: &log}
			done := p.tracedStep(t, box.URL())
			if err := p.decide(t.Context(), p.asked(t), "U0BOB", "approve"); err != nil {
				t.Fatal(err)
			}
			if got := <-done; got.code != 0 {
				t.Fatalf("exit %d\n%s", got.code, got.stderr)
			}
			if err := box.Wait(t.Context(), func() bool { return box.Calls() > 0 }); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			if err := stop(); err != nil {
				t.Error("the service did not stop well:", err)
			}
			if d := time.Since(began); d >= drainTime {
				t.Errorf("stopping took %s", d)
			}
			if fault == otlpbox.Down && !strings.Contains(log.String(), "the collector does not take traces") {
				t.Error("the operator is not told")
			}
			if n := strings.Count(log.String(), "the collector does not take traces"); n > 1 {
				t.Errorf("the operator is told %d times", n)
			}
		}
	}
	together(t, cases)
}

// A traceparent is only followed where jobs call, and opens nothing that we
// would not do without it.
func TestTracesOfStrangers(t *testing.T) {
	const theirs = "000000000000000f0000000000000000" // an id that passes every ratio
	call := func(p *played, path, flags string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.cfg.URL+path, strings.NewReader(`{}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("traceparent", "00-"+theirs+"-00f067aa0ba902b7-"+flags)
		req.Header.Set("tracestate", "acme=c4nary")
		req.Header.Set("Authorization", "Bearer c4nary.c4nary.c4nary")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	p, box := playTraced(t, nil)
	call(p, "/v1/requests", "01")
	call(p, "/v1/requests/x/c4nary", "01")
	call(p, "/webhook/slack/interactions", "01")
	call(p, "/sign-in/c4nary", "01")
	call(p, "/c4nary", "01")
	spans := exportedUntil(t, box, "POST /v1/requests", "POST /v1/", "POST /webhook/slack/interactions", "POST unknown")
	for _, s := range spans {
		if job := strings.HasPrefix(s.Attributes["http.route"], "/v1/") || s.Name == "verify token"; (s.Trace == theirs) != job {
			t.Errorf("%s is in trace %s", s.Name, s.Trace)
		}
	}
	if s := spanned(spans, "gatekeeper", "POST /v1/requests")[0]; s.Attributes["error.type"] != "invalid_token" || s.Attributes["http.response.status_code"] != "401" || s.Failed {
		t.Errorf("a refused call is %+v", s)
	}
	if strings.Contains(string(box.Raw()), "c4nary") {
		t.Error("the collector was told a stranger's text")
	}
	quiet, box := playTraced(t, func(s *trace.Settings) { s.Ratio = 0 })
	call(quiet, "/v1/requests", "01")
	quiet.svc.tracing.Close(t.Context())
	if n := box.Calls(); n > 0 {
		t.Errorf("a stranger made us export %d times", n)
	}
}

// What is wrong with traces stops no start.
func TestTracesThatCannotBegin(t *testing.T) {
	p := play(t, func(s *stage) {
		s.cfg.Traces = trace.Settings{Endpoint: "https://collector.example.com/v1/traces", Certificate: "missing.pem"}
	})
	if p.svc.tracing != nil || !strings.Contains(p.log.String(), "missing.pem") {
		t.Errorf("tracing: %v, log:\n%s", p.svc.tracing, p.log)
	}
}

// A step that exports nothing still carries its pipeline's trace, or one made
// up for all of its calls.
func TestStepWithoutACollector(t *testing.T) {
	p, box := playTraced(t, nil)
	done := p.tracedStep(t, "")
	if err := p.decide(t.Context(), p.asked(t), "U0BOB", "approve"); err != nil {
		t.Fatal(err)
	}
	if got := <-done; got.code != 0 {
		t.Fatalf("exit %d\n%s", got.code, got.stderr)
	}
	spans := exportedUntil(t, box, "POST /v1/requests/{id}/credentials")
	for _, name := range []string{"POST /v1/requests", "POST /v1/requests/{id}/credentials"} {
		if s := spanned(spans, "gatekeeper", name)[0]; s.Trace != pipelineTrace || s.Parent != pipelineSpan {
			t.Errorf("%s is %+v", name, s)
		}
	}
	got := <-p.step(t, map[string]any{"run_id": "7100"}, "--timeout", "300ms")
	if got.code != 4 {
		t.Fatalf("exit %d\n%s", got.code, got.stderr)
	}
	spans = exportedUntil(t, box, "POST /v1/requests/{id}/cancel")
	traces := map[string]bool{}
	for _, s := range spans {
		if s.Kind == "SERVER" && s.Trace != pipelineTrace && strings.HasPrefix(s.Attributes["http.route"], "/v1/") {
			traces[s.Trace] = true
		}
	}
	if len(traces) != 1 {
		t.Errorf("the calls of a step without a trace are in %d traces", len(traces))
	}
	if n := len(spanned(spans, "gatekeeper-request", "gatekeeper request")); n > 0 {
		t.Errorf("%d spans of steps were exported", n)
	}
}

// What GitHub is told later, and a job's redemption in another trace, link to
// the trace that opened the request.
func TestTraceOfAVerdict(t *testing.T) {
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
	box := otlpbox.Start()
	t.Cleanup(box.Close)
	p, hub := stageWithGitHub(t, func(s *stage, _ *githubbox.GitHub) {
		s.cfg.Traces, _ = trace.Environment(func(string) string { return "" }, box.URL())
	})
	deploys(t, hub, 7001)
	if err := p.decide(t.Context(), p.asked(t), "U0BOB", "approve"); err != nil {
		t.Fatal(err)
	}
	told(t, hub, 7001, 1)
	if got := <-p.tracedStep(t, ""); got.code != 0 {
		t.Fatalf("exit %d\n%s", got.code, got.stderr)
	}
	spans := exportedUntil(t, box, "work slack.click", "work deployment.verdict", "POST /v1/requests/{id}/credentials")
	// Either the webhook or the sweep at the start found the deployment first.
	links := spanned(spans, "gatekeeper", "work slack.click")[0].Links
	opener := slices.IndexFunc(spans, func(s otlpbox.Span) bool {
		return len(links) == 1 && s.ID == links[0].ID && (s.Name == "work github.webhook" || s.Name == "work github.sweep")
	})
	if opener < 0 {
		t.Fatalf("the click links to %v, which is no opening", links)
	}
	for _, name := range []string{"work slack.click", "work deployment.verdict", "POST /v1/requests/{id}/credentials"} {
		found := spanned(spans, "gatekeeper", name)
		if !slices.ContainsFunc(found, func(s otlpbox.Span) bool {
			return slices.Contains(s.Links, links[0])
		}) {
			t.Errorf("%s does not link to %s: %+v", name, spans[opener].Name, found)
		}
	}
	if len(spanned(spans, "gatekeeper", "POST github")) == 0 {
		t.Error("calls of GitHub have no spans")
	}
}
