package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/rules"
)

// noteLastGood keeps the files that were last in force, under their source, so
// that a gatekeeper starts while GitHub is down.
const noteLastGood = "rules.last_good"

// maxLastGood bounds what is unpacked: more than any source gives.
const maxLastGood = 64 << 20

// lastGoodNotes go into the change that puts the files in force. What is on
// our own disk needs none.
func (s *service) lastGoodNotes(got ruleFiles) []gatekeeper.Note {
	if got.Commit == "" {
		return nil
	}
	return []gatekeeper.Note{{Kind: noteLastGood, Key: s.rules.source.String(), Value: pack(got)}}
}

func pack(got ruleFiles) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_ = json.NewEncoder(z).Encode(got) // into memory, and of plain data: neither fails
	_ = z.Close()
	return b.Bytes()
}

func unpack(note []byte) (got ruleFiles, err error) {
	z, err := gzip.NewReader(bytes.NewReader(note))
	if err != nil {
		return got, err
	}
	err = json.NewDecoder(io.LimitReader(z, maxLastGood)).Decode(&got)
	return got, err
}

// startFromLastGood takes what was in force when the service last ran, and
// says so loudly. Where there is nothing, or it has faults by now, why the
// source does not serve is why the service does not start.
func (s *service) startFromLastGood(ctx context.Context, why error) error {
	note, err := s.store.Note(ctx, noteLastGood, s.rules.source.String())
	if err != nil || note == nil {
		return why
	}
	got, err := unpack(note)
	if err != nil {
		return fmt.Errorf("%w\n(and the last good rules cannot be read: %w)", why, err)
	}
	set, faults := rules.Parse(got.Files, s.ruleOptions())
	if faults.Err() != nil {
		return fmt.Errorf("%w\n(and the last good rules, of commit %s, have faults by now: %w)", why, got.Commit, faults.Err())
	}
	if err := s.store.Record(ctx, gatekeeper.Change{Events: rulesEvent(gatekeeper.EventRulesLoaded, map[string]any{
		"digest": set.Digest(), "rules": set.Names(), "warnings": len(faults), "source": s.rules.source.String(), "commit": got.Commit,
		"last_good": true, "because": said(why),
	})}); err != nil {
		return err
	}
	s.enforce(set, got, "the last good rules are in force, of commit "+got.Commit+", because "+said(why))
	s.log.Error("started with the last good rules, for the source does not serve", "source", s.rules.source.String(), "commit", got.Commit, "digest", set.Digest(), "error", why)
	return nil
}
