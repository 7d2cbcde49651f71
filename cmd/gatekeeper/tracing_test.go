package main

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/otlpbox"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/slackbox"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/trace"
)

// The pipeline that the traced step runs in.
const (
	pipelineTrace = "4bf92f3577b34da6a3ce929d0e0e4736"
	pipelineSpan  = "00f067aa0ba902b7"
)

// playTraced is a stage whose gatekeeper exports to the collector; change
// says otherwise.
func playTraced(t *testing.T, change func(*trace.Settings)) (*played, *otlpbox.Collector) {
	t.Helper()
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "20") // the SDK's own variable, in milliseconds
	box := otlpbox.Start()
	t.Cleanup(box.Close)
	return play(t, func(s *stage) {
		s.cfg.Traces, _ = trace.Environment(func(string) string { return "" }, box.URL())
		if change != nil {
			change(&s.cfg.Traces)
		}
	}), box
}

// tracedStep runs a step of that pipeline; its spans go to the collector at
// endpoint, "" for none.
func (p *played) tracedStep(t testing.TB, endpoint string, args ...string) <-chan outcomeOf {
	env := p.jobEnv(nil)
	env["TRACEPARENT"], env["TRACESTATE"] = "00-"+pipelineTrace+"-"+pipelineSpan+"-01", "acme=42"
	env["OTEL_EXPORTER_OTLP_ENDPOINT"], env["OTEL_EXPORTER_OTLP_HEADERS"] = endpoint, "x-key=collector%20key"
	done := make(chan outcomeOf, 1)
	go func() {
		done <- command(t.Context(), env, append([]string{"request", "--environment", "production", "--output", "json"}, args...)...)
	}()
	return done
}

// spanned finds spans by name and service.
func spanned(spans []otlpbox.Span, service, name string) (found []otlpbox.Span) {
	for _, s := range spans {
		if s.Service == service && s.Name == name {
			found = append(found, s)
		}
	}
	return found
}

// The pipeline's trace goes from the step through the decision to the
// exchange; what came in between, from people and from the runner, are traces
// of their own that link to the one that asked. No secret and no person's text
// is in a byte of it.
func TestTrace(t *testing.T) {
	p, box := playTraced(t, nil)
	done := p.tracedStep(t, box.URL(), "--reason", "Release c4nary")
	if err := p.decide(t.Context(), p.asked(t), "U0BOB", "approve"); err != nil {
		t.Fatal(err)
	}
	got := <-done
	if got.code != 0 {
		t.Fatalf("exit %d\n%s", got.code, got.stderr)
	}
	spans := exportedUntil(t, box, "work slack.message", "work slack.click", "work slack.direct", "exchange", "POST /v1/requests/{id}/credentials", "POST /webhook/slack/interactions")
	one := func(service, name string, within []otlpbox.Span) otlpbox.Span {
		t.Helper()
		found := spanned(within, service, name)
		if len(found) == 0 {
			t.Fatalf("%s has no span %q in %s", service, name, strings.Join(namesOf(within), ", "))
		}
		return found[0]
	}
	ours := slices.DeleteFunc(slices.Clone(spans), func(s otlpbox.Span) bool { return s.Trace != pipelineTrace })
	below := func(name string, parent otlpbox.Span) otlpbox.Span {
		t.Helper()
		for _, s := range ours {
			if s.Name == name && s.Parent == parent.ID {
				return s
			}
		}
		t.Fatalf("no span %q below %q in %s", name, parent.Name, strings.Join(namesOf(ours), ", "))
		return otlpbox.Span{}
	}
	step := one("gatekeeper-request", "gatekeeper request", ours)
	if step.Parent != pipelineSpan || step.State != "acme=42" || step.Attributes["process.exit.code"] != "0" {
		t.Errorf("the step is %+v", step)
	}
	id := p.requestOf(t)
	opened := below("POST /v1/requests", below("POST gatekeeper", below("ask", step)))
	for _, name := range []string{"verify token", "decide", "store token", "store open"} {
		below(name, opened)
	}
	if opened.Attributes["gatekeeper.request.id"] != id || opened.Attributes["gatekeeper.rule"] != "payments-production" ||
		opened.Attributes["gatekeeper.environment"] != "production" || opened.Attributes["http.response.status_code"] != "201" || len(opened.Links) > 0 {
		t.Errorf("the opening is %+v", opened)
	}
	if s := below("GET /v1/requests/{id}", below("GET gatekeeper", below("wait for people", step))); s.Attributes["http.response.status_code"] != "200" {
		t.Errorf("the wait is %+v", s)
	}
	redeemed := below("POST /v1/requests/{id}/credentials", below("POST gatekeeper", below("redeem", step)))
	below("POST aws", below("exchange", redeemed))
	if e := below("exchange", redeemed); e.Attributes["gatekeeper.credential.type"] != "aws" || e.Failed {
		t.Errorf("the exchange is %+v", e)
	}
	for _, name := range []string{"work slack.message", "work slack.click", "work slack.direct"} {
		s := one("gatekeeper", name, spans)
		if s.Trace == pipelineTrace || s.Parent != "" || !slices.Contains(s.Links, otlpbox.Link{Trace: pipelineTrace, ID: opened.ID}) {
			t.Errorf("%s is no trace of its own with a link to the opening: %+v", name, s)
		}
	}
	if s := one("gatekeeper", "POST /webhook/slack/interactions", spans); s.Parent != "" || s.Trace == pipelineTrace {
		t.Errorf("Slack's call is %+v", s)
	}
	p.saysLittle(t, box, got.stdout, "c4nary")
	if h := box.Headers(); !slices.ContainsFunc(h, func(h http.Header) bool { return h.Get("X-Key") == "collector key" }) {
		t.Error("the step's headers for the collector did not come")
	}
	if !strings.Contains(p.log.String(), `"trace_id":"`+pipelineTrace+`"`) {
		t.Error("the log does not name the trace")
	}
}

// exportedUntil waits until the gatekeeper exported a span of each name.
func exportedUntil(t testing.TB, box *otlpbox.Collector, names ...string) []otlpbox.Span {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	missing := func() []string {
		spans := box.Spans()
		return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return len(spanned(spans, "gatekeeper", name)) > 0 })
	}
	if err := box.Wait(ctx, func() bool { return len(missing()) == 0 }); err != nil {
		t.Fatalf("no %s among %s", strings.Join(missing(), ", "), strings.Join(namesOf(box.Spans()), ", "))
	}
	return box.Spans()
}

func namesOf(spans []otlpbox.Span) (all []string) {
	for _, s := range spans {
		all = append(all, s.Service+"/"+s.Name)
	}
	return all
}

// saysLittle greps every exported byte, and holds spans to the list of what
// they may say.
func (p *played) saysLittle(t *testing.T, box *otlpbox.Collector, answer string, texts ...string) {
	t.Helper()
	secrets := append(texts, slackbox.BotToken, slackbox.SigningSecret, "eyJhbGciOi", "Release", "U0BOB", "Bob", "Alice", "alice")
	secrets = append(secrets, secretsIn(t, answer)...)
	for _, s := range secrets {
		if strings.Contains(string(box.Raw()), s) {
			t.Errorf("the collector was told %.12q", s)
		}
	}
	allowed := []string{
		"gatekeeper.request.id", "gatekeeper.request.state", "gatekeeper.rule", "gatekeeper.environment", "gatekeeper.outcome", "gatekeeper.credential.type",
		"gatekeeper.redemption.id", "gatekeeper.work.kind", "gatekeeper.work.attempt", "gatekeeper.call", "error.type", "process.exit.code",
		"http.request.method", "http.route", "http.response.status_code", "server.address",
	}
	for _, s := range box.Spans() {
		for key := range s.Attributes {
			if !slices.Contains(allowed, key) {
				t.Errorf("span %q says %s", s.Name, key)
			}
		}
		if s.Message != "" && s.Message != s.Attributes["error.type"] || s.Events > 0 {
			t.Errorf("span %q has a text: %q, %d events", s.Name, s.Message, s.Events)
		}
	}
}

// secretsIn are those of the credentials that a step printed.
func secretsIn(t testing.TB, answer string) (all []string) {
	t.Helper()
	var out struct{ Credentials []gatekeeper.Credential }
	if err := json.Unmarshal([]byte(answer), &out); err != nil || len(out.Credentials) == 0 || out.Credentials[0].AWS == nil {
		t.Fatalf("no credentials in %q: %v", answer, err)
	}
	for _, c := range out.Credentials {
		all = append(all, c.AWS.AccessKeyID, c.AWS.SecretAccessKey, c.AWS.SessionToken)
	}
	return all
}
