package ledger

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"golang.org/x/mod/sumdb/tlog"
)

// Format is the way in which one leaf becomes one line: jsonl, ocsf or cef.
func Format(name string) (func(Leaf) ([]byte, error), error) {
	switch name {
	case "jsonl":
		return jsonl, nil
	case "ocsf":
		return ocsf, nil
	case "cef":
		return cef, nil
	}
	return nil, gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, "format %q is none of jsonl, ocsf, cef", name)
}

func event(l Leaf) (gatekeeper.Event, error) {
	var e gatekeeper.Event
	if err := json.Unmarshal(l.Body, &e); err != nil {
		return e, &Fault{Index: l.Index, ID: l.ID, What: "it is no event"}
	}
	return e, nil
}

// jsonl is the event as recorded, with its place in the ledger.
func jsonl(l Leaf) ([]byte, error) {
	e, err := event(l)
	if err != nil {
		return nil, err
	}
	hash := tlog.RecordHash(l.Body)
	return json.Marshal(struct {
		Index int64 `json:"index"`
		gatekeeper.Event
		LeafHash string `json:"leaf_hash"`
	}{l.Index, e, hex.EncodeToString(hash[:])})
}

// ocsf maps an event to OCSF 1.5 (https://schema.ocsf.io): votes and decisions
// are Authorize Session (3003), the rest is API Activity (6003).
func ocsf(l Leaf) ([]byte, error) {
	e, err := event(l)
	if err != nil {
		return nil, err
	}
	class, activity, name := 6003, 99, "API Activity"
	category := 6
	if slices.Contains([]gatekeeper.EventType{gatekeeper.EventRequestApproved, gatekeeper.EventRequestDenied, gatekeeper.EventVoteCounted, gatekeeper.EventVoteRefused, gatekeeper.EventRequestRevoked}, e.Type) {
		class, category, name = 3003, 3, "Authorize Session"
	}
	status := 1
	if refusedType(e.Type) {
		status = 2
	}
	out := map[string]any{
		"category_uid": category, "class_uid": class, "class_name": name, "activity_id": activity, "activity_name": string(e.Type),
		"type_uid": class*100 + activity, "time": e.Time.UnixMilli(), "severity_id": 1, "status_id": status, "message": Tell(e),
		"metadata": map[string]any{"version": "1.5.0", "uid": e.ID, "sequence": l.Index,
			"product": map[string]any{"name": "Gatekeeper", "vendor_name": "Gatekeeper"}},
		"actor":    map[string]any{"user": map[string]any{"uid": e.Actor.ID, "name": e.Actor.Name, "type": e.Actor.Kind}},
		"user":     map[string]any{"uid": e.Actor.ID, "name": e.Actor.Name},
		"unmapped": map[string]any{"request": e.Request, "state": e.State, "data": e.Data},
	}
	if class == 6003 {
		out["api"] = map[string]any{"operation": string(e.Type), "request": map[string]any{"uid": e.Request}}
		out["src_endpoint"] = map[string]any{"name": e.Actor.ID}
		delete(out, "user")
	}
	return json.Marshal(out)
}

func refusedType(t gatekeeper.EventType) bool {
	return slices.Contains([]gatekeeper.EventType{
		gatekeeper.EventRequestRefused, gatekeeper.EventVoteRefused, gatekeeper.EventRedemptionRefused, gatekeeper.EventRedemptionFailed,
		gatekeeper.EventRedemptionUnknown, gatekeeper.EventRequestDenied, gatekeeper.EventRulesRejected,
	}, t)
}

// cef is ArcSight's Common Event Format. Its header escapes \ and |, its
// extension \ and =, and neither may hold a line break: a commit's title must
// not start an event of its own (threats row 46).
func cef(l Leaf) ([]byte, error) {
	e, err := event(l)
	if err != nil {
		return nil, err
	}
	severity := 3
	if refusedType(e.Type) {
		severity = 6
	}
	header := strings.NewReplacer(`\`, `\\`, `|`, `\|`)
	line := fmt.Sprintf("CEF:0|Gatekeeper|Gatekeeper|1|%s|%s|%d|", header.Replace(flat(string(e.Type))), header.Replace(flat(Tell(e))), severity)
	extension := strings.NewReplacer(`\`, `\\`, `=`, `\=`)
	data, err := json.Marshal(e.Data)
	if err != nil {
		return nil, err
	}
	for i, field := range [][2]string{
		{"rt", fmt.Sprint(e.Time.UnixMilli())}, {"externalId", e.ID}, {"suid", e.Actor.ID}, {"suser", e.Actor.Name}, {"cs1Label", "request"},
		{"cs1", e.Request}, {"cs2Label", "state"}, {"cs2", string(e.State)}, {"cs3Label", "data"}, {"cs3", string(data)}, {"cn1Label", "index"}, {"cn1", fmt.Sprint(l.Index)},
	} {
		if i > 0 {
			line += " "
		}
		line += field[0] + "=" + extension.Replace(flat(field[1]))
	}
	return []byte(line), nil
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
	for _, key := range []string{"environment", "rule", "choice", "reason", "refused", "credential", "detail", "digest", "by", "freeze"} {
		if value, ok := e.Data[key]; ok && value != "" {
			parts = append(parts, fmt.Sprintf("%s: %v", key, value))
		}
	}
	return flat(strings.Join(parts, ", "))
}
