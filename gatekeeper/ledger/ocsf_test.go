package ledger_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/ledger"
)

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
