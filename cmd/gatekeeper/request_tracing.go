package main

import (
	"context"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/api"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/trace"
)

// openTracing makes spans where the job's environment names a collector. A
// step never fails for its traces.
func (s *step) openTracing() {
	settings, trouble := trace.Environment(s.w.env, "")
	t, err := trace.New(trace.Options{Settings: settings, Service: "gatekeeper-request", Version: version})
	if err != nil {
		trouble = append(trouble, err.Error())
	}
	for _, why := range trouble {
		s.progress.say("No traces as asked for: %s", oneLine(why))
	}
	s.tracing = t
}

// traced runs the step in its pipeline's trace, and sends what it has to tell
// at its end, for a short while.
func (s *step) traced(ctx context.Context, run func(context.Context) error) error {
	spanned, end := s.tracing.Start(s.tracing.Continue(ctx, s.w.env), "gatekeeper request", trace.About("", s.body.Environment, "", "", "")...)
	err := run(spanned)
	trace.Exit(spanned, codeOf(err))
	end(nil)
	s.tracing.Close(context.WithoutCancel(ctx))
	return err
}

// open asks, in a span of its own.
func (s *step) open(ctx context.Context) (api.Answer, error) {
	ctx, end := s.tracing.Start(ctx, "ask")
	a, err := s.client.Open(ctx, s.body)
	end(err)
	return a, err
}

func aboutAnswer(a api.Answer) []trace.Attribute {
	return trace.About(a.ID, a.Environment, a.Rule, "", "")
}
