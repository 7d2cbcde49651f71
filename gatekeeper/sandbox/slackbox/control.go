package slackbox

import (
	"context"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"
)

// control are the endpoints by which other processes do what people and
// administrators do. The package comment lists them.
func (w *Workspace) control(mux *http.ServeMux) {
	mux.HandleFunc("GET /_sandbox/messages", w.serveMessages)
	mux.HandleFunc("GET /_sandbox/wait", w.serveWait)
	for name, f := range w.readable() {
		mux.HandleFunc("GET /_sandbox/"+name, func(rw http.ResponseWriter, r *http.Request) { writeJSON(rw, http.StatusOK, f(r)) })
	}
	mux.HandleFunc("POST /_sandbox/click", command(w.Click))
	mux.HandleFunc("POST /_sandbox/submit", command(w.SubmitModal))
	mux.HandleFunc("POST /_sandbox/command", command(w.Command))
	mux.HandleFunc("POST /_sandbox/close", command(func(ctx context.Context, in who) (Delivery, error) { return w.CloseModal(ctx, in.User) }))
	mux.HandleFunc("POST /_sandbox/home", command(func(ctx context.Context, in who) (Delivery, error) { return w.OpenHome(ctx, in.User) }))
	mux.HandleFunc("POST /_sandbox/redeliver", command(func(ctx context.Context, in struct {
		Index int `json:"index"`
	}) (Delivery, error) {
		all := w.Deliveries()
		if in.Index < 0 || in.Index >= len(all) || all[in.Index].Via != "http" {
			return Delivery{}, fmt.Errorf("there is no delivery %d over HTTP", in.Index)
		}
		return w.Redeliver(ctx, all[in.Index]), nil
	}))
	mux.HandleFunc("POST /_sandbox/say", command(func(_ context.Context, in said) (Message, error) {
		if _, ok := w.User(in.User); !ok {
			return Message{}, fmt.Errorf("there is no user %q", in.User)
		}
		return w.Say(in.User, in.Channel, in.Text, in.Thread), nil
	}))
	mux.HandleFunc("POST /_sandbox/fail", command(func(_ context.Context, f Fault) (bool, error) { w.Fail(f); return true, nil }))
	mux.HandleFunc("DELETE /_sandbox/fail", func(rw http.ResponseWriter, _ *http.Request) { w.ClearFaults(); writeJSON(rw, http.StatusOK, true) })
	w.controlPeople(mux)
}

func (w *Workspace) controlPeople(mux *http.ServeMux) {
	mux.HandleFunc("POST /_sandbox/user", command(func(_ context.Context, u User) (User, error) { w.SetUser(u); return u, nil }))
	mux.HandleFunc("POST /_sandbox/group", command(func(_ context.Context, g Group) (Group, error) { w.SetGroup(g); return g, nil }))
	mux.HandleFunc("POST /_sandbox/channel", command(func(_ context.Context, c Channel) (Channel, error) { w.SetChannel(c); return c, nil }))
	mux.HandleFunc("POST /_sandbox/scopes", command(func(_ context.Context, in struct {
		Scopes []string `json:"scopes"`
	}) (bool, error) {
		w.SetScopes(in.Scopes...)
		return true, nil
	}))
	mux.HandleFunc("POST /_sandbox/callbacks", command(func(_ context.Context, in struct {
		Interactions string `json:"interactions"`
		Commands     string `json:"commands"`
		Events       string `json:"events"`
	}) (bool, error) {
		w.SetCallbacks(in.Interactions, in.Commands, in.Events)
		return true, nil
	}))
	mux.HandleFunc("POST /_sandbox/delete", command(func(_ context.Context, in said) (bool, error) {
		return w.DeleteMessage(in.Channel, in.TS), nil
	}))
	mux.HandleFunc("POST /_sandbox/sockets", command(func(_ context.Context, in struct {
		Reason string `json:"reason"`
	}) (int, error) {
		return w.DropSockets(in.Reason), nil
	}))
}

type who struct {
	User string `json:"user"`
}

type said struct {
	User    string `json:"user"`
	Channel string `json:"channel"`
	Text    string `json:"text"`
	TS      string `json:"ts"`
	Thread  string `json:"thread_ts"`
}

// readable is what can be read as it is, by name.
func (w *Workspace) readable() map[string]func(*http.Request) any {
	return map[string]func(*http.Request) any{
		"calls": func(r *http.Request) any {
			if m := r.FormValue("method"); m != "" {
				return w.Calls(m)
			}
			return w.Calls()
		},
		"deliveries": func(*http.Request) any { return w.Deliveries() },
		"notices":    func(*http.Request) any { return w.Notices() },
		"modal":      func(r *http.Request) any { v, ok := w.Modal(r.FormValue("user")); return orNull(v, ok) },
		"home":       func(r *http.Request) any { v, ok := w.Home(r.FormValue("user")); return orNull(v, ok) },
		"people": func(*http.Request) any {
			return map[string]any{"users": w.Users(), "groups": w.Groups(), "channels": w.Channels(), "sockets": w.Sockets()}
		},
	}
}

func orNull[T any](v T, ok bool) any {
	if !ok {
		return nil
	}
	return v
}

// command makes a handler of what takes one JSON object. Insisting on JSON
// keeps forms of other web sites out, which a browser sends without asking.
func command[In, Out any](run func(context.Context, In) (Out, error)) http.HandlerFunc {
	return func(rw http.ResponseWriter, r *http.Request) {
		if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
			writeJSON(rw, http.StatusUnsupportedMediaType, map[string]string{"error": "send application/json"})
			return
		}
		var in In
		decoder := json.NewDecoder(http.MaxBytesReader(rw, r.Body, maxBody))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&in); err != nil {
			writeJSON(rw, http.StatusBadRequest, map[string]string{"error": err.Error()})
			return
		}
		out, err := run(r.Context(), in)
		if err != nil {
			writeJSON(rw, http.StatusConflict, map[string]string{"error": err.Error()})
			return
		}
		writeJSON(rw, http.StatusOK, out)
	}
}

// maxWait bounds how long a request waits for something to happen.
const maxWait = time.Minute

// serveMessages answers with the messages that fit; with wait, once there is
// one.
func (w *Workspace) serveMessages(rw http.ResponseWriter, r *http.Request) {
	var found []Message
	look := func() bool { found = w.fitting(r); return len(found) > 0 }
	if wait, err := time.ParseDuration(r.FormValue("wait")); err == nil {
		ctx, cancel := context.WithTimeout(r.Context(), min(wait, maxWait))
		defer cancel()
		_ = w.Wait(ctx, look) // what is there when time is over is the answer
	} else {
		look()
	}
	if found == nil {
		found = []Message{}
	}
	writeJSON(rw, http.StatusOK, found)
}

func (w *Workspace) fitting(r *http.Request) []Message {
	channel, user := r.FormValue("channel"), r.FormValue("user")
	contains, action, value := r.FormValue("contains"), r.FormValue("action"), r.FormValue("value")
	all := w.Messages(channel)
	if user != "" {
		all = w.Direct(user)
	}
	return slices.DeleteFunc(all, func(m Message) bool {
		pressable := slices.ContainsFunc(m.Buttons(), func(b Button) bool {
			return (action == "" || b.ActionID == action) && (value == "" || b.Value == value)
		})
		return (action != "" || value != "") && !pressable || !strings.Contains(m.Text+"\n"+m.Words(), contains)
	})
}

// serveWait answers when the workspace is past a revision, or time is over.
func (w *Workspace) serveWait(rw http.ResponseWriter, r *http.Request) {
	wait, err := time.ParseDuration(r.FormValue("timeout"))
	if err != nil {
		wait = maxWait
	}
	ctx, cancel := context.WithTimeout(r.Context(), min(wait, maxWait))
	defer cancel()
	past := whole(r.FormValue("revision"))
	_ = w.Wait(ctx, func() bool { return w.Revision() > past }) // the answer says whether it is
	writeJSON(rw, http.StatusOK, map[string]int{"revision": w.Revision()})
}

// Revision grows with each change.
func (w *Workspace) Revision() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.revision
}
