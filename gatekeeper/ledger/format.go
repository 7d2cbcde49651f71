package ledger

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"golang.org/x/mod/sumdb/tlog"
)

// Formats are the names of the formats.
var formats = []string{"jsonl", "ocsf", "cef"}

// FormatOptions say whose events they are.
type FormatOptions struct {
	Source  string // the gatekeeper's URL; "": gatekeeper
	Version string // of the gatekeeper; "": unknown
}

// Format makes lines of leaves and checkpoints.
type Format struct {
	name string
	FormatOptions
}

// NewFormat is the format of that name: jsonl (CloudEvents), ocsf or cef.
func NewFormat(name string, o FormatOptions) (Format, error) {
	if !slices.Contains(formats, name) {
		return Format{}, gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, "format %q is none of %s", name, strings.Join(formats, ", "))
	}
	if o.Source == "" {
		o.Source = "gatekeeper"
	}
	if o.Version == "" {
		o.Version = "unknown"
	}
	return Format{name, o}, nil
}

// Name is the format's name.
func (f Format) Name() string { return f.name }

// Record is an event, or a checkpoint, in a format. Its ID stays the same
// however often it is delivered.
type Record struct {
	ID      string
	Type    string
	Request string
	Time    time.Time
	Index   int64 // a checkpoint: of the last event that it covers
	Refused bool  // something was refused or failed
	Line    []byte
}

// checkpointType is the type under which checkpoints are delivered.
const checkpointType = "ledger.checkpoint"

// told is an event with its place in the ledger.
type told struct {
	gatekeeper.Event
	index int64
	body  []byte // as hashed; nil: pruned
	hash  string // of the leaf, hex; "": pruned
}

// Event makes the record of a leaf.
func (f Format) Event(l Leaf) (Record, error) {
	t := told{index: l.Index, body: l.Body}
	if l.Pruned() {
		t.Event = gatekeeper.Event{ID: l.ID, Type: gatekeeper.EventType(l.Type), Time: l.Time, Request: l.Request, Actor: gatekeeper.Actor{Kind: "gatekeeper", ID: "pruned"}}
	} else {
		if err := json.Unmarshal(l.Body, &t.Event); err != nil {
			return Record{}, &Fault{Index: l.Index, ID: l.ID, What: "it is no event"}
		}
		hash := tlog.RecordHash(l.Body)
		t.hash = hex.EncodeToString(hash[:])
	}
	line, err := f.line(t)
	return Record{ID: t.ID, Type: string(t.Type), Request: t.Request, Time: t.Time, Index: l.Index, Refused: refusedType(t.Type), Line: line}, err
}

func (f Format) line(t told) ([]byte, error) {
	switch f.name {
	case "ocsf":
		return f.ocsf(t)
	case "cef":
		return f.cef(t)
	}
	return f.cloudEvent(t)
}

// Checkpoint makes the record of a signed checkpoint; at is the time of the
// last event that it covers.
func (f Format) Checkpoint(note []byte, at time.Time) (Record, error) {
	head, err := ReadHead(note)
	if err != nil {
		return Record{}, err
	}
	r := Record{ID: fmt.Sprintf("checkpoint_%d", head.Size), Type: checkpointType, Time: at, Index: head.Size - 1}
	switch f.name {
	case "ocsf":
		r.Line, err = f.ocsfCheckpoint(r, head, note)
	case "cef":
		r.Line = f.cefCheckpoint(r, head, note)
	default:
		r.Line, err = f.cloudCheckpoint(r, head, note)
	}
	return r, err
}

func refusedType(t gatekeeper.EventType) bool {
	return slices.Contains([]gatekeeper.EventType{
		gatekeeper.EventRequestRefused, gatekeeper.EventVoteRefused, gatekeeper.EventRedemptionRefused, gatekeeper.EventRedemptionFailed,
		gatekeeper.EventRedemptionUnknown, gatekeeper.EventRevocationFailed, gatekeeper.EventRequestDenied, gatekeeper.EventRulesRejected, gatekeeper.EventPasskeyRefused, gatekeeper.EventPersonRefused,
	}, t)
}

// flat makes line breaks and other control characters spaces.
func flat(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || (r >= 0x7f && r < 0xa0) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, s)
}

// Tell says in a few words what an event's data mean.
func Tell(e gatekeeper.Event) string {
	var parts []string
	for _, key := range []string{"environment", "rule", "choice", "break_glass", "reason", "refused", "credential", "detail", "digest", "by", "freeze", "before", "to"} {
		if value, ok := e.Data[key]; ok && value != "" {
			parts = append(parts, fmt.Sprintf("%s: %v", key, value))
		}
	}
	return flat(strings.Join(parts, ", "))
}

// text is a value of an event's data, "" where it has none.
func text(e gatekeeper.Event, key string) string {
	s, _ := e.Data[key].(string)
	return s
}
