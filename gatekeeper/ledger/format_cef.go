package ledger

import (
	"encoding/json"
	"fmt"
	"strings"
)

// CEF is ArcSight's Common Event Format. Its header escapes \ and |, its
// extension \ and =, and neither may hold a line break: a commit's title must
// not start an event of its own (threats row 46).
var (
	cefHeader    = strings.NewReplacer(`\`, `\\`, `|`, `\|`)
	cefExtension = strings.NewReplacer(`\`, `\\`, `=`, `\=`)
	// cefLines keeps line breaks of our own texts, as the format has it.
	cefLines = strings.NewReplacer(`\`, `\\`, `=`, `\=`, "\n", `\n`)
)

func (f Format) cef(t told) ([]byte, error) {
	severity, outcome := 3, "success"
	if refusedType(t.Type) {
		severity, outcome = 6, "failure"
	}
	data, err := json.Marshal(t.Data)
	if err != nil {
		return nil, err
	}
	return f.cefLine(string(t.Type), Tell(t.Event), severity, [][2]string{
		{"rt", fmt.Sprint(t.Time.UnixMilli())}, {"externalId", t.ID}, {"outcome", outcome}, {"suid", t.Actor.ID}, {"suser", t.Actor.Name},
		{"cs1Label", "request"}, {"cs1", t.Request}, {"cs2Label", "state"}, {"cs2", string(t.State)}, {"cs3Label", "data"}, {"cs3", string(data)},
		{"cs5Label", "leafHash"}, {"cs5", t.hash}, {"cn1Label", "index"}, {"cn1", fmt.Sprint(t.index)}, {"cs6Label", "source"}, {"cs6", f.Source},
	}), nil
}

func (f Format) cefLine(class, name string, severity int, fields [][2]string) []byte {
	var line strings.Builder
	fmt.Fprintf(&line, "CEF:0|Gatekeeper|Gatekeeper|%s|%s|%s|%d|", cefHeader.Replace(flat(f.Version)), cefHeader.Replace(flat(class)), cefHeader.Replace(flat(name)), severity)
	for i, field := range fields {
		if i > 0 {
			line.WriteByte(' ')
		}
		line.WriteString(field[0] + "=" + cefExtension.Replace(flat(field[1])))
	}
	return []byte(line.String())
}

func (f Format) cefCheckpoint(r Record, head Head, note []byte) []byte {
	line := f.cefLine(r.Type, fmt.Sprintf("%d events", head.Size), 1, [][2]string{
		{"rt", fmt.Sprint(r.Time.UnixMilli())}, {"externalId", r.ID}, {"cn1Label", "index"}, {"cn1", fmt.Sprint(r.Index)},
		{"cs6Label", "source"}, {"cs6", f.Source}, {"cs4Label", "checkpoint"},
	})
	return append(line, " cs4="+cefLines.Replace(string(note))...)
}
