package ledger_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/ledger"
	"golang.org/x/mod/sumdb/tlog"
)

func format(t testing.TB, name string) ledger.Format {
	t.Helper()
	f, err := ledger.NewFormat(name, ledger.FormatOptions{Source: "https://gatekeeper.test", Version: "1.2.3"})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func leafOf(t testing.TB, e gatekeeper.Event, index int64) ledger.Leaf {
	t.Helper()
	body, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return ledger.Leaf{Index: index, ID: e.ID, Type: string(e.Type), Request: e.Request, Time: e.Time, Body: body}
}

// naughty is what strangers write into commits and reasons.
const naughty = "a|b=c\\d\nCEF:0|x\r\n\u2028<!channel>\x00] \"q\""

// Threats row 46: no text of a stranger starts an event of its own.
func TestExportEscapes(t *testing.T) {
	l := leafOf(t, gatekeeper.Event{ID: "evt_1", Type: gatekeeper.EventVoteRefused, Time: time.Unix(1700000000, 0).UTC(), Request: "req_1",
		Actor: gatekeeper.Actor{Kind: "person", ID: "slack:U0|x", Name: naughty}, Data: map[string]any{"reason": naughty}}, 0)
	for _, name := range []string{"jsonl", "ocsf", "cef"} {
		r, err := format(t, name).Event(l)
		line := string(r.Line)
		if err != nil || strings.ContainsAny(line, "\n\r\u2028\x00") {
			t.Errorf("%s: %q, %v", name, line, err)
		}
		if name == "cef" && (!strings.HasPrefix(line, `CEF:0|Gatekeeper|Gatekeeper|1.2.3|vote.refused|reason: a\|b=c\\d CEF:0\|x`) || !strings.Contains(line, `suser=a|b\=c\\d CEF:0|x`)) {
			t.Errorf("cef: %s", line)
		}
		if name != "cef" && !json.Valid(r.Line) {
			t.Errorf("%s is no JSON: %s", name, line)
		}
	}
	if _, err := ledger.NewFormat("xml", ledger.FormatOptions{}); err == nil {
		t.Error("an unknown format was taken")
	}
}

// A kept line proves itself: its data are the bytes that were hashed.
func TestCloudEvents(t *testing.T) {
	l := leafOf(t, gatekeeper.Event{ID: "evt_1", Type: gatekeeper.EventRequestOpened, Time: time.Unix(1700000000, 0).UTC(), Request: "req_1",
		Data: map[string]any{"reason": "<b>&</b>"}}, 41)
	r, err := format(t, "jsonl").Event(l)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		SpecVersion, ID, Source, Type, Subject, Sequence, LeafHash string
		Data                                                       json.RawMessage
	}
	if err := json.Unmarshal(r.Line, &got); err != nil {
		t.Fatal(err)
	}
	hash := tlog.RecordHash(got.Data)
	if got.LeafHash != hex.EncodeToString(hash[:]) || !bytes.Equal(got.Data, l.Body) {
		t.Errorf("the data are not what was hashed: %s", r.Line)
	}
	if got.SpecVersion != "1.0" || got.ID != "evt_1" || got.Source != "https://gatekeeper.test" || got.Type != "request.opened" || got.Subject != "req_1" || got.Sequence != "00000000000000000041" {
		t.Errorf("got %+v", got)
	}
	pruned, err := format(t, "jsonl").Event(ledger.Leaf{Index: 1, ID: "evt_2", Type: "vote.counted", Time: l.Time})
	if err != nil || !strings.Contains(string(pruned.Line), `"pruned":true`) || strings.Contains(string(pruned.Line), `"data"`) {
		t.Errorf("pruned: %s, %v", pruned.Line, err)
	}
}

// Whatever a sink made of a checkpoint, it is found again in what was kept.
func TestCheckpointsInCopies(t *testing.T) {
	b := filled(t)
	note := b.checkpoints[13]
	lines := "Nov 25 12:00:00 host other line\n"
	for _, name := range []string{"jsonl", "ocsf", "cef"} {
		r, err := format(t, name).Checkpoint(note, time.Unix(1700000000, 0))
		if err != nil || r.ID != "checkpoint_13" || bytes.ContainsAny(r.Line, "\n") {
			t.Fatalf("%s: %+v, %v", name, r, err)
		}
		lines += "<110>1 2026-11-25T12:00:00Z host gatekeeper - ledger.checkpoint - " + string(r.Line) + "\n" + string(r.Line) + "\n"
	}
	found := ledger.Checkpoints([]byte(lines))
	if len(found) != 6 {
		t.Fatalf("%d were found", len(found))
	}
	for _, f := range append(found, ledger.Checkpoints(note)...) {
		if !bytes.Equal(f, note) {
			t.Errorf("got %q, want %q", f, note)
		}
	}
}

// eventTypes are all that the ledger may hold.
func eventTypes(t *testing.T) []gatekeeper.EventType {
	t.Helper()
	src, err := os.ReadFile("../event.go")
	if err != nil {
		t.Fatal(err)
	}
	var all []gatekeeper.EventType
	for line := range strings.Lines(string(src)) {
		if _, value, ok := strings.Cut(line, "EventType = \""); ok {
			name, _, _ := strings.Cut(value, `"`)
			all = append(all, gatekeeper.EventType(name))
		}
	}
	if len(all) < 20 {
		t.Fatalf("only %d types of events were found", len(all))
	}
	return all
}

// Each type of event keeps to the published class that it claims to be of.
func TestOCSF(t *testing.T) {
	s := loadOCSF(t)
	f := format(t, "ocsf")
	rich := map[string]any{"environment": "production", "reason": naughty, "credential": "deploy", "job": "job:1", "redemption": "red_1", "digest": "ab", "refused": "no", "break_glass": true}
	for _, kind := range eventTypes(t) {
		for i, actor := range []gatekeeper.Actor{{Kind: "person", ID: "slack:U0BOB", Name: "Bob"}, {Kind: "workload", ID: "repo:acme/payments"}, {Kind: "gatekeeper", ID: "rules"}, {}} {
			for _, data := range []map[string]any{rich, nil} {
				e := gatekeeper.Event{ID: "evt_1", Type: kind, Time: time.Unix(1700000000, 0).UTC(), State: gatekeeper.Pending, Actor: actor, Data: data}
				if i%2 == 0 {
					e.Request = "req_1"
				}
				r, err := f.Event(leafOf(t, e, 7))
				if err != nil {
					t.Fatal(err)
				}
				s.valid(t, string(kind), r.Line)
			}
		}
		r, err := f.Event(ledger.Leaf{Index: 7, ID: "evt_1", Type: string(kind), Request: "req_1", Time: time.Unix(1700000000, 0)})
		if err != nil {
			t.Fatal(err)
		}
		s.valid(t, "pruned "+string(kind), r.Line)
	}
	r, err := f.Checkpoint(filled(t).checkpoints[13], time.Unix(1700000000, 0))
	if err != nil {
		t.Fatal(err)
	}
	s.valid(t, "checkpoint", r.Line)
}

// ocsfSchema is the excerpt of the published schema; see testdata/ocsf.
type ocsfSchema struct {
	Version string
	Types   map[string]string
	Classes map[string]ocsfKind
	Objects map[string]ocsfKind
}

type ocsfKind struct {
	Meta struct {
		AtLeastOne []string `json:"at_least_one"`
		JustOne    []string `json:"just_one"`
	}
	Attributes map[string]struct {
		Type, Requirement string
		IsArray           bool `json:"is_array"`
		Enum              []string
	}
}

func loadOCSF(t *testing.T) ocsfSchema {
	t.Helper()
	body, err := os.ReadFile("testdata/ocsf/schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var s ocsfSchema
	if err := json.Unmarshal(body, &s); err != nil || s.Version != ledger.OCSFVersion {
		t.Fatalf("version %q, %v", s.Version, err)
	}
	return s
}

func (s ocsfSchema) valid(t *testing.T, what string, line []byte) {
	t.Helper()
	var event map[string]any
	d := json.NewDecoder(bytes.NewReader(line))
	d.UseNumber()
	if err := d.Decode(&event); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	class, ok := s.Classes[fmt.Sprint(event["class_uid"])]
	if !ok {
		t.Fatalf("%s: class %v is not in the excerpt", what, event["class_uid"])
	}
	for _, fault := range s.faults(class, event, "") {
		t.Errorf("%s: %s\n%s", what, fault, line)
	}
	if want := fmt.Sprint(event["class_uid"], fmt.Sprintf("%02v", event["activity_id"])); strings.ReplaceAll(want, " ", "") != fmt.Sprint(event["type_uid"]) {
		t.Errorf("%s: type_uid is %v, want class and activity", what, event["type_uid"])
	}
}

func (s ocsfSchema) faults(kind ocsfKind, o map[string]any, at string) (all []string) {
	has := func(name string) bool { _, ok := o[name]; return ok }
	for name, a := range kind.Attributes {
		if a.Requirement == "required" && !has(name) {
			all = append(all, at+name+" is required")
		}
	}
	if kind.Meta.AtLeastOne != nil && !slices.ContainsFunc(kind.Meta.AtLeastOne, has) {
		all = append(all, fmt.Sprintf("%sone of %v is required", at, kind.Meta.AtLeastOne))
	}
	if kind.Meta.JustOne != nil && len(slices.DeleteFunc(slices.Clone(kind.Meta.JustOne), func(n string) bool { return !has(n) })) != 1 {
		all = append(all, fmt.Sprintf("%sjust one of %v is required", at, kind.Meta.JustOne))
	}
	for name, value := range o {
		a, ok := kind.Attributes[name]
		if !ok {
			all = append(all, at+name+" is no attribute")
			continue
		}
		values := []any{value}
		if list, isList := value.([]any); isList != a.IsArray {
			all = append(all, at+name+" is a list, or not, against the schema")
			continue
		} else if isList {
			values = list
		}
		for _, v := range values {
			all = append(all, s.value(a.Type, a.Enum, v, at+name)...)
		}
	}
	return all
}

func (s ocsfSchema) value(kind string, enum []string, v any, at string) []string {
	if kind == "object" || kind == "json_t" {
		return nil
	}
	if o, ok := v.(map[string]any); ok {
		if k, known := s.Objects[kind]; known {
			return s.faults(k, o, at+".")
		}
		return []string{at + " is of object " + kind + ", which is not in the excerpt"}
	}
	ok := false
	switch s.Types[kind] {
	case "string_t":
		_, ok = v.(string)
	case "integer_t", "long_t":
		if n, is := v.(json.Number); is {
			_, err := n.Int64()
			ok = err == nil && (enum == nil || slices.Contains(enum, n.String()))
		}
	case "boolean_t":
		_, ok = v.(bool)
	}
	if !ok {
		return []string{fmt.Sprintf("%s: %v is no %s of %v", at, v, kind, enum)}
	}
	return nil
}

// The validator itself refuses what the schema refuses.
func TestOCSFValidatorRefuses(t *testing.T) {
	s := loadOCSF(t)
	r, err := format(t, "ocsf").Event(leafOf(t, gatekeeper.Event{ID: "evt_1", Type: gatekeeper.EventRequestOpened, Request: "req_1"}, 1))
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(map[string]any){
		"unknown attribute": func(o map[string]any) { o["nonsense"] = "x" },
		"wrong enum":        func(o map[string]any) { o["activity_id"] = json.Number("77") },
		"wrong type":        func(o map[string]any) { o["time"] = "now" },
		"no list":           func(o map[string]any) { o["message"] = []any{"x"} },
		"empty object":      func(o map[string]any) { o["entity"] = map[string]any{} },
	} {
		var o map[string]any
		d := json.NewDecoder(bytes.NewReader(r.Line))
		d.UseNumber()
		if err := d.Decode(&o); err != nil {
			t.Fatal(err)
		}
		change(o)
		if len(s.faults(s.Classes["3004"], o, "")) == 0 {
			t.Error(name, "was taken")
		}
	}
}

func FuzzCheckpoints(f *testing.F) {
	b := newBook(f, 1)
	b.add(f, 3)
	f.Add(b.checkpoints[3])
	for _, name := range []string{"jsonl", "ocsf", "cef"} {
		r, err := format(f, name).Checkpoint(b.checkpoints[3], time.Unix(1, 0))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(r.Line)
	}
	f.Add([]byte("CEF:0|ledger.checkpoint| cs4=\\"))
	f.Add([]byte("o\n1\n" + base64.StdEncoding.EncodeToString(make([]byte, 32)) + "\n"))
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, note := range ledger.Checkpoints(body) {
			head, err := ledger.OpenCheckpoint(note, b.key)
			if err == nil && !bytes.Contains(b.checkpoints[3], []byte(fmt.Sprintf("\n%d\n", head.Size))) {
				t.Fatalf("%q counts as signed", note)
			}
		}
	})
}
