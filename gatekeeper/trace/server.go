package trace

import (
	"context"
	"net/http"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	otel "go.opentelemetry.io/otel/trace"
)

// Handler gives each call a span named by its route. The caller's traceparent
// is continued only below the prefixes, where jobs call: browsers and vendors
// are strangers with no trace that would be ours. otelhttp would also tell
// clients' addresses, what they call themselves and whole paths.
func (t *Tracing) Handler(next http.Handler, continued ...string) http.Handler {
	if t == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := r.Context()
		for _, prefix := range continued {
			if strings.HasPrefix(r.URL.Path, prefix) {
				ctx = callers(r)
			}
		}
		method := methodOf(r)
		ctx, span := t.start(ctx, method, otel.WithSpanKind(otel.SpanKindServer))
		if !span.IsRecording() {
			next.ServeHTTP(w, r.WithContext(ctx))
			return
		}
		r, answer := r.WithContext(ctx), &answer{ResponseWriter: w}
		answer.end = func() {
			describe(span, method, routeOf(r), answer)
			span.End()
		}
		defer answer.left()
		next.ServeHTTP(answer, r)
	})
}

// callers is the context of a call with its caller's trace, without its
// tracestate: that is a text of whoever calls, which exported spans would say.
func callers(r *http.Request) context.Context {
	ctx := propagation.TraceContext{}.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
	parent := otel.SpanContextFromContext(ctx).WithTraceState(otel.TraceState{})
	if !parent.IsValid() {
		return r.Context()
	}
	return otel.ContextWithRemoteSpanContext(ctx, parent)
}

// describe says what is known once a call is answered.
func describe(span otel.Span, method, route string, a *answer) {
	span.SetName(method + " " + route)
	span.SetAttributes(attribute.String("http.request.method", method), attribute.String("http.route", route),
		attribute.Int("http.response.status_code", a.status))
	if call := a.Header().Get("X-Request-Id"); call != "" {
		span.SetAttributes(attribute.String(keyCall, call))
	}
	if a.status >= http.StatusInternalServerError {
		span.SetStatus(codes.Error, "")
	}
}

// routeOf is the mux's pattern, which the innermost mux leaves on the request.
func routeOf(r *http.Request) string {
	route := r.Pattern
	if i := strings.IndexByte(route, ' '); i >= 0 {
		route = route[i+1:]
	}
	if route == "" {
		return "unknown"
	}
	return route
}

// methodOf is one of a few words: the method is a stranger's text.
func methodOf(r *http.Request) string {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return r.Method
	}
	return "_OTHER"
}

type answer struct {
	http.ResponseWriter
	status int
	taken  bool // with its connection, whose end is the call's
	end    func()
}

// left is when the handler returns.
func (a *answer) left() {
	if !a.taken {
		a.end()
	}
}

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (a *answer) Write(p []byte) (int, error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	return a.ResponseWriter.Write(p)
}

// Unwrap is for http.ResponseController.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }
