package ledger

import (
	"bytes"
	"encoding/json"
	"strings"
)

// Checkpoints finds the checkpoints in what was kept outside: a checkpoint
// itself, or lines as the sinks delivered them in any of their formats, with
// a syslog header before them or not. Nothing is believed here; it is for
// Verify to look at signatures.
func Checkpoints(body []byte) [][]byte {
	if _, err := ReadHead(body); err == nil {
		return [][]byte{body}
	}
	var found [][]byte
	for line := range bytes.Lines(body) {
		if note := checkpointIn(bytes.TrimSpace(line)); note != "" {
			found = append(found, []byte(note))
		}
	}
	return found
}

func checkpointIn(line []byte) string {
	if !bytes.Contains(line, []byte(checkpointType)) {
		return ""
	}
	if at := bytes.IndexByte(line, '{'); at >= 0 {
		var any map[string]json.RawMessage
		if json.Unmarshal(line[at:], &any) == nil {
			return checkpointOf(any)
		}
	}
	if _, cef, ok := strings.Cut(string(line), "CEF:0|"); ok {
		return checkpointOfCEF(cef)
	}
	return ""
}

// checkpointOf looks where jsonl and ocsf put it, and into the envelopes of
// Splunk and Datadog, which may hold a line as text.
func checkpointOf(fields map[string]json.RawMessage) string {
	for _, name := range []string{"checkpoint", "data", "unmapped", "event", "message"} {
		raw, ok := fields[name]
		if !ok {
			continue
		}
		var text string
		if json.Unmarshal(raw, &text) == nil {
			if name == "checkpoint" {
				return text
			}
			if note := checkpointIn([]byte(text)); note != "" {
				return note
			}
			continue
		}
		var inner map[string]json.RawMessage
		if json.Unmarshal(raw, &inner) == nil {
			if note := checkpointOf(inner); note != "" {
				return note
			}
		}
	}
	return ""
}

// checkpointOfCEF undoes the escapes of an extension's value.
func checkpointOfCEF(line string) string {
	_, rest, ok := strings.Cut(line, " cs4=")
	if !ok {
		return ""
	}
	var note strings.Builder
	for i := 0; i < len(rest); i++ {
		switch {
		case rest[i] == '\\' && i+1 < len(rest):
			i++
			note.WriteByte(map[bool]byte{true: '\n', false: rest[i]}[rest[i] == 'n'])
		default:
			note.WriteByte(rest[i])
		}
	}
	return note.String()
}
