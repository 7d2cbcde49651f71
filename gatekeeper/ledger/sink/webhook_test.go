package sink_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/ledger"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/ledger/sink"
)

// receiver answers as vendors do, and keeps what it was sent.
type receiver struct {
	*httptest.Server
	header http.Header
	body   string
	status int
	after  string
	answer string
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{status: 200}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		r.header, r.body = req.Header, string(body)
		if r.after != "" {
			w.Header().Set("Retry-After", r.after)
		}
		if r.status/100 == 3 {
			w.Header().Set("Location", "/elsewhere")
		}
		w.WriteHeader(r.status)
		_, _ = io.WriteString(w, r.answer)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) webhook(vendor, format string) sink.Webhook {
	return sink.Webhook{URL: r.URL, Token: "canary", Vendor: vendor, Format: format, Host: "gatekeeper.test", HTTP: sink.Client(http.DefaultTransport)}
}

func two(t *testing.T, format string) []ledger.Record {
	t.Helper()
	f, err := ledger.NewFormat(format, ledger.FormatOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var all []ledger.Record
	for _, id := range []string{"evt_1", "evt_2"} {
		body, err := json.Marshal(gatekeeper.Event{ID: id, Type: gatekeeper.EventVoteCounted, Time: time.UnixMilli(1700000000123).UTC()})
		if err != nil {
			t.Fatal(err)
		}
		r, err := f.Event(ledger.Leaf{ID: id, Body: body})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	return all
}

// What each vendor's documentation asks for: Splunk's HTTP Event Collector,
// Datadog's v2 logs intake, Elasticsearch's bulk API; lines for everybody else.
func TestVendors(t *testing.T) {
	for _, c := range []struct {
		vendor, format, answer string
		header, value, kind    string
		begins                 string
		objects                int // one after the other; 0: one list
	}{
		{"splunk", "jsonl", `{"text":"Success","code":0}`, "Authorization", "Splunk canary", "application/json", `{"event":{"specversion":"1.0","id":"evt_1"`, 2},
		{"splunk", "cef", `{}`, "Authorization", "Splunk canary", "application/json", `{"event":"CEF:0|`, 2},
		{"datadog", "ocsf", `{}`, "Dd-Api-Key", "canary", "application/json", `[{"ddsource":"gatekeeper","ddtags":"type:vote.counted"`, 0},
		{"elastic", "jsonl", `{"errors":false,"items":[]}`, "Authorization", "ApiKey canary", "application/x-ndjson", "{\"create\":{\"_id\":\"evt_1\"}}\n{\"@timestamp\":\"2023-11-14T22:13:20.123Z\"", 4},
		{"elastic", "cef", `{"errors":false}`, "Authorization", "ApiKey canary", "application/x-ndjson", "{\"create\":{\"_id\":\"evt_1\"}}\n{\"@timestamp\":\"2023-11-14T22:13:20.123Z\",\"message\":\"CEF:0|", 4},
		{"", "jsonl", ``, "Authorization", "Bearer canary", "application/x-ndjson", `{"specversion":"1.0"`, 2},
		{"other", "ocsf", ``, "Authorization", "Bearer canary", "application/x-ndjson", `{"activity_id"`, 2},
	} {
		r := newReceiver(t)
		r.answer = c.answer
		if err := r.webhook(c.vendor, c.format).Send(t.Context(), two(t, c.format)); err != nil {
			t.Errorf("%s %s: %v", c.vendor, c.format, err)
			continue
		}
		if r.header.Get(c.header) != c.value || r.header.Get("Content-Type") != c.kind || !strings.HasPrefix(r.body, c.begins) {
			t.Errorf("%s %s: %q, %q\n%s", c.vendor, c.format, r.header.Get(c.header), r.header.Get("Content-Type"), r.body)
		}
		n := 0
		for d := json.NewDecoder(strings.NewReader(r.body)); d.More(); n++ {
			var v any
			if err := d.Decode(&v); err != nil {
				t.Fatalf("%s: %v", c.vendor, err)
			}
			if list, ok := v.([]any); ok && (c.objects != 0 || len(list) != 2) {
				t.Errorf("%s: a list of %d", c.vendor, len(list))
			}
		}
		if n != max(1, c.objects) {
			t.Errorf("%s: %d objects", c.vendor, n)
		}
	}
	r := newReceiver(t)
	if err := r.webhook("", "cef").Send(t.Context(), two(t, "cef")); err != nil || strings.Count(r.body, "\n") != 2 || !strings.HasPrefix(r.body, "CEF:0|") {
		t.Errorf("cef: %q, %v", r.body, err)
	}
}

// What was not taken is an error, with the pause that was asked for, and
// without what the receiver echoed.
func TestWebhookRefusals(t *testing.T) {
	for _, c := range []struct {
		status        int
		after, answer string
		vendor        string
		want          time.Duration
		ok            bool
	}{
		{429, "7", "canary", "", 7 * time.Second, false}, {503, "", "canary", "splunk", 0, false}, {401, "", "canary", "datadog", 0, false},
		{307, "", "", "", 0, false}, // a token is for one address
		{200, "", `{"errors":true,"items":[{"create":{"status":201}},{"create":{"status":429,"error":{"type":"es_rejected_execution_exception","reason":"canary"}}}]}`, "elastic", 0, false},
		{200, "", `{"errors":true,"items":[{"create":{"status":409,"error":{"type":"version_conflict_engine_exception"}}},{"create":{"status":201}}]}`, "elastic", 0, true},
		{200, "", "<html>", "elastic", 0, false},
		{202, "", "", "", 0, true},
	} {
		r := newReceiver(t)
		r.status, r.after, r.answer = c.status, c.after, c.answer
		err := r.webhook(c.vendor, "jsonl").Send(t.Context(), two(t, "jsonl"))
		if (err == nil) != c.ok {
			t.Errorf("%d %s: %v", c.status, c.answer, err)
			continue
		}
		if err == nil {
			continue
		}
		var coded *gatekeeper.Error
		if asError(err, &coded) && coded.RetryAfter != c.want {
			t.Errorf("%d: again in %s, want %s", c.status, coded.RetryAfter, c.want)
		}
		if strings.Contains(err.Error(), "canary") {
			t.Errorf("%d: the error holds a secret: %v", c.status, err)
		}
	}
	gone := newReceiver(t)
	hook := gone.webhook("", "jsonl")
	hook.URL += "/?key=canary"
	gone.Close()
	if err := hook.Send(t.Context(), two(t, "jsonl")); err == nil || strings.Contains(err.Error(), "canary") {
		t.Errorf("out of reach: %v", err)
	}
}

func TestVendorOf(t *testing.T) {
	for url, want := range map[string]string{
		"https://splunk.acme.com:8088/services/collector/event": "splunk", "https://es.acme.com/gatekeeper/_bulk": "elastic",
		"https://http-intake.logs.datadoghq.eu/api/v2/logs": "datadog", "http://127.0.0.1:8080/api/v2/logs": "datadog", "https://siem.acme.com/in": "", "::": "",
	} {
		if got := sink.VendorOf(url); got != want {
			t.Errorf("%s: %q, want %q", url, got, want)
		}
	}
}
