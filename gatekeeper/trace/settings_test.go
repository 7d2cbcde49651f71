package trace

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The standard variables mean what the specification says; what cannot be
// used is told without its value where that may be a secret, and left out.
func TestEnvironment(t *testing.T) {
	const here = "http://collector:4318"
	on := Settings{Endpoint: here + "/v1/traces", Headers: map[string]string{}, Timeout: 10 * time.Second, Ratio: 1, ParentBased: true}
	with := func(change func(*Settings)) Settings {
		s := on
		change(&s)
		return s
	}
	for name, c := range map[string]struct {
		env     map[string]string
		given   string // by the file
		want    Settings
		trouble string
	}{
		"nothing":            {nil, "", Settings{}, ""},
		"for all signals":    {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": here + "/"}, "", on, ""},
		"for traces, as is":  {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": here, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://x/y"}, "", with(func(s *Settings) { s.Endpoint = "https://x/y" }), ""},
		"the file is above":  {map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://x/y"}, here, on, ""},
		"disabled":           {map[string]string{"OTEL_SDK_DISABLED": "true"}, here, Settings{}, ""},
		"no exporter":        {map[string]string{"OTEL_TRACES_EXPORTER": "none"}, here, Settings{}, ""},
		"ours among others":  {map[string]string{"OTEL_TRACES_EXPORTER": "console, otlp"}, here, on, ""},
		"another's exporter": {map[string]string{"OTEL_TRACES_EXPORTER": "zipkin"}, here, Settings{}, "zipkin"},
		"no URL":             {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "s3cret@collector"}, "", Settings{}, "OTEL_EXPORTER_OTLP_ENDPOINT is no URL"},
		"gRPC":               {map[string]string{"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, here, on, "http/protobuf"},
		"headers":            {map[string]string{"OTEL_EXPORTER_OTLP_HEADERS": "a=b%20c, d = e=f ,"}, here, with(func(s *Settings) { s.Headers = map[string]string{"a": "b c", "d": "e=f"} }), ""},
		"a header without =": {map[string]string{"OTEL_EXPORTER_OTLP_HEADERS": "s3cret"}, here, on, "name=value"},
		"timeout, zip, files": {map[string]string{"OTEL_EXPORTER_OTLP_TIMEOUT": "500", "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION": "gzip", "OTEL_EXPORTER_OTLP_CERTIFICATE": "ca", "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": "c", "OTEL_EXPORTER_OTLP_CLIENT_KEY": "k"}, here, with(func(s *Settings) {
			s.Timeout, s.Gzip, s.Certificate, s.ClientCert, s.ClientKey = 500*time.Millisecond, true, "ca", "c", "k"
		}), ""},
		"no timeout":         {map[string]string{"OTEL_EXPORTER_OTLP_TIMEOUT": "-1"}, here, on, "OTEL_EXPORTER_OTLP_TIMEOUT"},
		"a ratio":            {map[string]string{"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.25"}, here, with(func(s *Settings) { s.Ratio = 0.25 }), ""},
		"whatever they say":  {map[string]string{"OTEL_TRACES_SAMPLER": "always_on"}, here, with(func(s *Settings) { s.ParentBased = false }), ""},
		"never":              {map[string]string{"OTEL_TRACES_SAMPLER": "parentbased_always_off"}, here, with(func(s *Settings) { s.Ratio = 0 }), ""},
		"no ratio":           {map[string]string{"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "2"}, here, on, "0 to 1"},
		"no sampler of ours": {map[string]string{"OTEL_TRACES_SAMPLER": "jaeger_remote"}, here, on, "jaeger_remote"},
	} {
		t.Run(name, func(t *testing.T) {
			got, trouble := Environment(func(name string) string { return c.env[name] }, c.given)
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
			told := strings.Join(trouble, "\n")
			if (c.trouble == "") != (told == "") || !strings.Contains(told, c.trouble) || strings.Contains(told, "s3cret") {
				t.Errorf("told: %q, want %q", told, c.trouble)
			}
		})
	}
}
