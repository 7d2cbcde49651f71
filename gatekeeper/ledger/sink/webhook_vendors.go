package sink

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/ledger"
)

// authorize says who we are in the vendor's header.
func (w Webhook) authorize(h http.Header) {
	if w.Token == "" {
		return
	}
	switch w.Vendor {
	case "splunk": // HTTP Event Collector
		h.Set("Authorization", "Splunk "+w.Token)
	case "datadog":
		h.Set("DD-API-KEY", w.Token)
	case "elastic":
		h.Set("Authorization", "ApiKey "+w.Token)
	default:
		h.Set("Authorization", "Bearer "+w.Token)
	}
}

// body is the batch and its media type.
func (w Webhook) body(batch []ledger.Record) ([]byte, string, error) {
	switch w.Vendor {
	case "splunk":
		return w.each(batch, "application/json", w.splunk)
	case "elastic":
		return w.each(batch, "application/x-ndjson", w.elastic)
	case "datadog":
		return w.datadog(batch)
	}
	if w.Format == "cef" {
		return lines(batch), "text/plain; charset=utf-8", nil
	}
	return lines(batch), "application/x-ndjson", nil
}

// each writes records one after the other.
func (w Webhook) each(batch []ledger.Record, kind string, one func(*json.Encoder, ledger.Record) error) ([]byte, string, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	for _, r := range batch {
		if err := one(e, r); err != nil {
			return nil, "", err
		}
	}
	return b.Bytes(), kind, nil
}

// value is the record inside a JSON document.
func (w Webhook) value(r ledger.Record) any {
	if w.Format == "cef" {
		return string(r.Line)
	}
	return json.RawMessage(r.Line)
}

func (w Webhook) splunk(e *json.Encoder, r ledger.Record) error {
	return e.Encode(map[string]any{
		"time": json.Number(fmt.Sprintf("%d.%03d", r.Time.Unix(), r.Time.UnixMilli()%1000)), "host": w.Host, "source": "gatekeeper",
		"sourcetype": "gatekeeper:" + w.Format, "event": w.value(r), "fields": map[string]string{"id": r.ID, "type": r.Type},
	})
}

// elastic creates documents under the records' ids, so that one that comes
// twice is there once.
func (w Webhook) elastic(e *json.Encoder, r ledger.Record) error {
	if err := e.Encode(map[string]any{"create": map[string]string{"_id": r.ID}}); err != nil {
		return err
	}
	doc := map[string]any{"message": string(r.Line)}
	if w.Format != "cef" {
		doc = map[string]any{}
		d := json.NewDecoder(bytes.NewReader(r.Line))
		d.UseNumber()
		if err := d.Decode(&doc); err != nil {
			return err
		}
	}
	doc["@timestamp"] = r.Time.UTC()
	return e.Encode(doc)
}

func (w Webhook) datadog(batch []ledger.Record) ([]byte, string, error) {
	all := make([]map[string]string, len(batch))
	for i, r := range batch {
		all[i] = map[string]string{
			"ddsource": "gatekeeper", "service": "gatekeeper", "hostname": w.Host, "ddtags": "type:" + r.Type, "message": string(r.Line),
		}
	}
	body, err := json.Marshal(all)
	return body, "application/json", err
}

// bulkAnswer reads Elastic's answer, which is 200 also when it took nothing.
// A document that is there already was taken before.
func bulkAnswer(answer []byte) error {
	var a struct {
		Errors bool
		Items  []map[string]struct {
			Status int
			Error  struct{ Type string }
		}
	}
	if err := json.Unmarshal(answer, &a); err != nil {
		return gatekeeper.Errorf(gatekeeper.CodeUnavailable, "the receiver's answer is none of Elastic's _bulk")
	}
	for i, item := range a.Items {
		for _, result := range item {
			if a.Errors && result.Status > 299 && result.Status != http.StatusConflict {
				return gatekeeper.Errorf(gatekeeper.CodeUnavailable, "record %d was not taken: status %d, %s", i, result.Status, result.Error.Type)
			}
		}
	}
	return nil
}
