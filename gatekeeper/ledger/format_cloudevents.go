package ledger

import (
	"encoding/json"
	"fmt"
	"time"
)

// cloudEvent is CloudEvents 1.0 in JSON (https://cloudevents.io). data holds
// exactly the bytes that the leaf's hash is made of, so that a receiver can
// prove what it kept.
type cloudEvent struct {
	SpecVersion     string          `json:"specversion"`
	ID              string          `json:"id"`
	Source          string          `json:"source"`
	Type            string          `json:"type"`
	Subject         string          `json:"subject,omitempty"` // the request
	Time            time.Time       `json:"time"`
	DataContentType string          `json:"datacontenttype,omitempty"`
	Sequence        string          `json:"sequence"`           // extension "sequence": the place in the ledger
	LeafHash        string          `json:"leafhash,omitempty"` // RFC 6962's, hex
	Pruned          bool            `json:"pruned,omitempty"`   // the payload is gone, its hash stands in the tree
	Data            json.RawMessage `json:"data,omitempty"`
}

func (f Format) cloudEvent(t told) ([]byte, error) {
	e := cloudEvent{
		SpecVersion: "1.0", ID: t.ID, Source: f.Source, Type: string(t.Type), Subject: t.Request, Time: t.Time.UTC(),
		Sequence: sequence(t.index), LeafHash: t.hash, Pruned: len(t.body) == 0,
	}
	if !e.Pruned {
		e.DataContentType, e.Data = "application/json", t.body
	}
	return json.Marshal(e)
}

func (f Format) cloudCheckpoint(r Record, head Head, note []byte) ([]byte, error) {
	data, err := json.Marshal(checkpointData(head, note))
	if err != nil {
		return nil, err
	}
	return json.Marshal(cloudEvent{
		SpecVersion: "1.0", ID: r.ID, Source: f.Source, Type: r.Type, Time: r.Time.UTC(),
		DataContentType: "application/json", Sequence: sequence(r.Index), Data: data,
	})
}

// sequence orders as text, which the extension wants.
func sequence(index int64) string { return fmt.Sprintf("%020d", index) }

func checkpointData(head Head, note []byte) map[string]any {
	return map[string]any{"size": head.Size, "root": fmt.Sprintf("%x", head.Root), "origin": head.Origin, "checkpoint": string(note)}
}
