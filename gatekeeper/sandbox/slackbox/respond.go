package slackbox

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"time"
)

// responseURL lets whoever has it answer an interaction: five times within
// half an hour (docs.slack.dev/interactivity/handling-user-interaction).
type responseURL struct {
	channel, ts, thread, user string
	at                        time.Time
	uses                      int
}

const (
	responseUses = 5
	responseTime = 30 * time.Minute
)

// newResponseURL needs w.mu.
func (w *Workspace) newResponseURL(r responseURL) string {
	id := w.id("R")
	r.at = w.o.Clock()
	w.responses[id] = &r
	return w.URL() + "response/" + id
}

func (w *Workspace) serveResponse(rw http.ResponseWriter, r *http.Request) {
	a := args{}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err != nil || json.Unmarshal(body, &a) != nil {
		a = args{"invalid": string(body)}
	}
	w.mu.Lock()
	fault := w.takeFault("response_url")
	w.mu.Unlock()
	if !fault.wait(r.Context(), w.ctx) {
		panic(http.ErrAbortHandler)
	}
	call := Call{Method: "response_url", Args: a}
	if fault.answers() && !fault.After {
		w.record(call, fault.status(), fault.Error, true)
		fault.answer(rw)
		return
	}
	w.mu.Lock()
	f := w.respond(r.PathValue("id"), a)
	w.mu.Unlock()
	switch {
	case fault.answers():
		w.record(call, fault.status(), fault.Error, true)
		fault.answer(rw)
	case f != nil:
		w.record(call, f.httpStatus(), f.code, false)
		answer(rw, nil, f)
	default:
		w.record(call, http.StatusOK, "", false)
		answer(rw, nil, nil)
	}
}

// respond needs w.mu.
func (w *Workspace) respond(id string, a args) *failure {
	u, ok := w.responses[id]
	switch {
	case !ok:
		return &failure{code: "invalid_url", status: http.StatusNotFound}
	case w.o.Clock().Sub(u.at) > responseTime:
		return &failure{code: "expired_url", status: http.StatusNotFound}
	case u.uses >= responseUses:
		return &failure{code: "used_url", status: http.StatusNotFound}
	}
	f := w.answerWith(*u, a)
	if f == nil {
		u.uses++
		return nil
	}
	if f.status == 0 {
		f.status = http.StatusBadRequest
	}
	return f
}

// answerWith shows an answer to an interaction or a slash command: privately
// unless it says otherwise. It needs w.mu.
func (w *Workspace) answerWith(u responseURL, a args) *failure {
	origin := w.message(u.channel, u.ts)
	if a.yes("delete_original") {
		if origin == nil {
			return fails("message_not_found")
		}
		origin.Deleted = true
		w.touch()
		return nil
	}
	blocks, meta, f := content(a, maxText)
	switch {
	case f != nil:
		return f
	case a.str("text") == "" && len(blocks) == 0:
		return fails("no_text")
	case a.yes("replace_original"):
		if origin == nil || origin.Deleted {
			return fails("message_not_found")
		}
		w.edit(origin, a, blocks, meta)
		return nil
	}
	m := &Message{Channel: u.channel, User: BotUser, Text: a.str("text"), Blocks: blocks, ThreadTS: a.str("thread_ts"), Metadata: meta}
	if a.str("response_type") != "in_channel" {
		m.Ephemeral = u.user
	}
	if m.ThreadTS == "" && a["replace_original"] != nil {
		m.ThreadTS = u.thread // an answer to a click within a thread stays there
	}
	w.post(m)
	return nil
}

// readAnswer is the body of an acknowledgement that shows something: JSON, or
// plain text.
func readAnswer(body string) args {
	a := args{}
	if strings.HasPrefix(strings.TrimSpace(body), "{") && json.Unmarshal([]byte(body), &a) == nil {
		return a
	}
	return args{"text": body}
}
