package trace

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// DefaultPerSecond is how many traces may begin at the doors in a second.
const DefaultPerSecond = 100

// Settings say where spans go and which. The zero value sends none.
type Settings struct {
	Endpoint    string            // the whole URL that traces are posted to; "": nothing is exported
	Headers     map[string]string // sent along, such as a collector's key
	Timeout     time.Duration     // of sending one batch, its repetitions included
	Gzip        bool
	Certificate string // PEM file of the CA that the collector's certificate is of; "": the system's
	ClientCert  string // PEM files of our own certificate and its key, where the collector wants one
	ClientKey   string
	Ratio       float64 // of traces that are exported
	ParentBased bool    // a caller that does not sample is followed
	PerSecond   int     // most traces that begin at the doors in a second; 0: DefaultPerSecond
}

// defaultTimeout is OTEL_EXPORTER_OTLP_TIMEOUT's.
const defaultTimeout = 10 * time.Second

// Environment reads the standard variables
// (https://opentelemetry.io/docs/specs/otel/protocol/exporter/ and
// …/configuration/sdk-environment-variables/). endpoint stands above theirs
// where it is not empty. What cannot be used is told in trouble and left out,
// as the specification wants it: a wrong variable never stops a start.
func Environment(env func(string) string, endpoint string) (s Settings, trouble []string) {
	r := environment{env: env}
	if strings.EqualFold(env("OTEL_SDK_DISABLED"), "true") || !r.wanted(env("OTEL_TRACES_EXPORTER")) {
		return Settings{}, r.trouble
	}
	s = Settings{Endpoint: r.endpoint(endpoint), Timeout: defaultTimeout}
	if s.Endpoint == "" {
		return Settings{}, r.trouble
	}
	if p := r.otlp("PROTOCOL"); p != "" && p != "http/protobuf" {
		r.wrong("OTEL_EXPORTER_OTLP_PROTOCOL is %q, and http/protobuf is what is spoken here, usually at port 4318", p)
	}
	s.Headers = r.headers(r.otlp("HEADERS"))
	if raw := r.otlp("TIMEOUT"); raw != "" {
		if ms, err := strconv.Atoi(raw); err != nil || ms <= 0 {
			r.wrong("OTEL_EXPORTER_OTLP_TIMEOUT is no number of milliseconds")
		} else {
			s.Timeout = time.Duration(ms) * time.Millisecond
		}
	}
	s.Gzip = r.otlp("COMPRESSION") == "gzip"
	s.Certificate, s.ClientCert, s.ClientKey = r.otlp("CERTIFICATE"), r.otlp("CLIENT_CERTIFICATE"), r.otlp("CLIENT_KEY")
	s.Ratio, s.ParentBased = r.sampler(env("OTEL_TRACES_SAMPLER"), env("OTEL_TRACES_SAMPLER_ARG"))
	return s, r.trouble
}

type environment struct {
	env     func(string) string
	trouble []string
}

func (r *environment) wrong(format string, args ...any) {
	r.trouble = append(r.trouble, fmt.Sprintf(format, args...))
}

// otlp is a variable of the exporter; the one for traces stands above the one
// for all signals.
func (r *environment) otlp(name string) string {
	if v := r.env("OTEL_EXPORTER_OTLP_TRACES_" + name); v != "" {
		return v
	}
	return r.env("OTEL_EXPORTER_OTLP_" + name)
}

func (r *environment) wanted(exporters string) bool {
	if exporters == "" {
		return true
	}
	for e := range strings.SplitSeq(exporters, ",") {
		if strings.TrimSpace(e) == "otlp" {
			return true
		}
	}
	if exporters != "none" {
		r.wrong("OTEL_TRACES_EXPORTER is %q, and otlp is what there is; no traces are exported", exporters)
	}
	return false
}

// endpoint is the URL of traces: as it is where it is given for traces, with
// /v1/traces where it is for all signals.
func (r *environment) endpoint(given string) string {
	raw, what := given, "the endpoint"
	if raw == "" {
		raw, what = r.env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"), "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
		if raw != "" {
			return r.checked(raw, what)
		}
		raw, what = r.env("OTEL_EXPORTER_OTLP_ENDPOINT"), "OTEL_EXPORTER_OTLP_ENDPOINT"
	}
	if raw == "" {
		return ""
	}
	return r.checked(strings.TrimSuffix(raw, "/")+"/v1/traces", what)
}

// checked never shows the URL: it may hold a key.
func (r *environment) checked(raw, what string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		r.wrong("%s is no URL, such as http://otel-collector:4318; no traces are exported", what)
		return ""
	}
	return raw
}

// headers are name=value pairs, their values percent-encoded.
func (r *environment) headers(list string) map[string]string {
	all := map[string]string{}
	for pair := range strings.SplitSeq(list, ",") {
		name, value, ok := strings.Cut(pair, "=")
		decoded, err := url.PathUnescape(strings.TrimSpace(value))
		switch name = strings.TrimSpace(name); {
		case strings.TrimSpace(pair) == "":
		case !ok || name == "" || err != nil:
			r.wrong("OTEL_EXPORTER_OTLP_HEADERS holds something that is no name=value; it is left out")
		default:
			all[name] = decoded
		}
	}
	return all
}

func (r *environment) sampler(name, arg string) (ratio float64, parentBased bool) {
	kind, parentBased := strings.CutPrefix(name, "parentbased_")
	switch kind {
	case "always_on":
		return 1, parentBased
	case "always_off":
		return 0, parentBased
	case "traceidratio":
		ratio, err := strconv.ParseFloat(arg, 64)
		if arg == "" || err == nil && ratio >= 0 && ratio <= 1 {
			if arg == "" {
				ratio = 1
			}
			return ratio, parentBased
		}
		r.wrong("OTEL_TRACES_SAMPLER_ARG is no number from 0 to 1; all traces are exported")
	case "":
	default:
		r.wrong("OTEL_TRACES_SAMPLER is %q, and always_on, always_off, traceidratio and their parentbased_ forms are there; all traces are exported", name)
	}
	return 1, true
}
