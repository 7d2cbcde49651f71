package ledger_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
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
