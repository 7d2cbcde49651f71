package slackbox

import (
	"strconv"
	"time"
)

// View is a modal, or a person's home tab.
type View struct {
	ID              string            `json:"id"`
	Type            string            `json:"type"` // modal or home
	User            string            `json:"user"` // who sees it
	CallbackID      string            `json:"callback_id"`
	PrivateMetadata string            `json:"private_metadata"`
	Title           string            `json:"title"`
	Submit          string            `json:"submit"` // empty: no such button
	Close           string            `json:"close"`
	Blocks          []Block           `json:"blocks"`
	Hash            string            `json:"hash"`
	Open            bool              `json:"open"`
	Errors          map[string]string `json:"errors,omitempty"`  // by block id, as people see them
	Trouble         string            `json:"trouble,omitempty"` // what Slack says when the app did not answer
	At              time.Time         `json:"at"`
	Root            string            `json:"root_view_id"`
	Previous        string            `json:"previous_view_id,omitempty"`

	raw map[string]any
}

// Buttons are all of a view's.
func (v View) Buttons() []Button { return buttonsOf(v.Blocks) }

// Words are all texts in a view.
func (v View) Words() string { return v.Title + "\n" + words(v.Blocks) }

// trigger is what a click lets an app do once, within three seconds.
type trigger struct {
	user string
	at   time.Time
	used bool
	view string // that it came from, for views.push
}

const triggerTime = 3 * time.Second

// newTrigger needs w.mu.
func (w *Workspace) newTrigger(user, view string) string {
	w.serial++
	id := strconv.Itoa(w.serial) + ".1234567890." + "d8c1bb837935619ccad0f624c448ffb3"
	w.triggers[id] = &trigger{user: user, at: w.o.Clock(), view: view}
	return id
}

// exchange uses a trigger up.
func (w *Workspace) exchange(a args) (*trigger, *failure) {
	t, ok := w.triggers[a.str("trigger_id")]
	switch {
	case !a.has("trigger_id"):
		return nil, fails("invalid_arguments", "[ERROR] missing required field: trigger_id")
	case !ok:
		return nil, fails("invalid_trigger_id")
	case t.used:
		return nil, fails("exchanged_trigger_id")
	case w.o.Clock().Sub(t.at) > triggerTime:
		return nil, fails("expired_trigger_id")
	}
	return t, nil
}

// readView checks a view of one type against Slack's schema.
func readView(a args, kind string) (*View, *failure) {
	value, ok := a.structured("view")
	if !ok {
		return nil, fails("invalid_arguments", "[ERROR] missing required field: view")
	}
	return checkView(value, kind)
}

func checkView(value any, kind string) (*View, *failure) {
	raw, _ := value.(map[string]any)
	c := &checker{surface: kind}
	if kindOf(raw) != kind {
		return nil, fails("invalid_arguments", "[ERROR] unsupported type: "+kindOf(raw)+" [json-pointer:/view/type]")
	}
	if size(raw) > maxViewSize {
		return nil, fails("view_too_large")
	}
	c.object("/view", raw, viewSchema(kind))
	blocks := c.checkBlocks("/view/blocks", raw["blocks"], maxViewBlocks)
	if c.inputs && kind == "modal" && raw["submit"] == nil {
		c.fail("/view", "missing required field: submit")
	}
	if len(c.messages) > 0 {
		return nil, fails("invalid_arguments", c.messages...)
	}
	return &View{Type: kind, CallbackID: field(raw, "callback_id"), PrivateMetadata: field(raw, "private_metadata"), Blocks: blocks,
		Title: textOf(raw["title"]), Submit: textOf(raw["submit"]), Close: textOf(raw["close"]), raw: raw}, nil
}

// show stores a new view. It needs w.mu.
func (w *Workspace) show(v *View, user string) *View {
	v.ID, v.User, v.Open, v.At = w.id("V"), user, true, w.o.Clock()
	v.Hash = stamp(v.At) + "." + v.ID
	if v.Root == "" {
		v.Root = v.ID
	}
	w.views = append(w.views, v)
	w.touch()
	return v
}

func (w *Workspace) viewsOpen(a args) (reply, *failure) {
	t, f := w.exchange(a)
	if f != nil {
		return nil, f
	}
	v, f := readView(a, "modal")
	if f != nil {
		return nil, f
	}
	t.used = true
	w.closeModals(t.user) // a new one takes the place of what was open
	return reply{"view": viewAsSlack(w.show(v, t.user))}, nil
}

// closeModals needs w.mu.
func (w *Workspace) closeModals(user string) {
	for _, v := range w.views {
		if v.User == user && v.Type == "modal" {
			v.Open = false
		}
	}
	w.touch()
}

func (w *Workspace) viewsPush(a args) (reply, *failure) {
	t, f := w.exchange(a)
	if f != nil {
		return nil, f
	}
	v, f := readView(a, "modal")
	if f != nil {
		return nil, f
	}
	below := w.modal(t.user)
	if below == nil {
		return nil, fails("not_found")
	}
	t.used = true
	return reply{"view": viewAsSlack(w.stack(v, below))}, nil
}

// stack shows v over below. It needs w.mu.
func (w *Workspace) stack(v, below *View) *View {
	v.Root, v.Previous = below.Root, below.ID
	return w.show(v, below.User)
}

func (w *Workspace) viewsUpdate(a args) (reply, *failure) {
	v := w.view(a.str("view_id"))
	if v == nil {
		return nil, fails("not_found")
	}
	if a.has("hash") && a.str("hash") != v.Hash {
		return nil, fails("hash_conflict")
	}
	next, f := readView(a, v.Type)
	if f != nil {
		return nil, f
	}
	w.replaceView(v, next)
	return reply{"view": viewAsSlack(v)}, nil
}

// replaceView keeps what makes it the same view. It needs w.mu.
func (w *Workspace) replaceView(v, next *View) {
	next.ID, next.User, next.Open, next.At, next.Root, next.Previous = v.ID, v.User, v.Open, v.At, v.Root, v.Previous
	next.Hash = w.ts() + "." + v.ID
	*v = *next
	w.touch()
}

func (w *Workspace) viewsPublish(a args) (reply, *failure) {
	u, ok := w.user(a.str("user_id"))
	if !ok || u.Deactivated || u.Bot {
		return nil, fails("user_not_found")
	}
	next, f := readView(a, "home")
	if f != nil {
		return nil, f
	}
	v := w.home(u.ID)
	if v == nil {
		return reply{"view": viewAsSlack(w.show(next, u.ID))}, nil
	}
	if a.has("hash") && a.str("hash") != v.Hash {
		return nil, fails("hash_conflict")
	}
	w.replaceView(v, next)
	return reply{"view": viewAsSlack(v)}, nil
}

func (w *Workspace) view(id string) *View {
	for _, v := range w.views {
		if v.ID == id {
			return v
		}
	}
	return nil
}

func (w *Workspace) home(user string) *View {
	for _, v := range w.views {
		if v.User == user && v.Type == "home" {
			return v
		}
	}
	return nil
}

// modal is the top one that a person has open. It needs w.mu.
func (w *Workspace) modal(user string) *View {
	for i := len(w.views) - 1; i >= 0; i-- {
		if v := w.views[i]; v.User == user && v.Type == "modal" && v.Open {
			return v
		}
	}
	return nil
}

// Modal is what a person has open, on top of whatever is below it.
func (w *Workspace) Modal(user string) (View, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if v := w.modal(user); v != nil {
		return *v, true
	}
	return View{}, false
}

// Home is a person's home tab.
func (w *Workspace) Home(user string) (View, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if v := w.home(user); v != nil {
		return *v, true
	}
	return View{}, false
}

// viewAsSlack is a view as the API and payloads tell it.
func viewAsSlack(v *View) map[string]any {
	out := map[string]any{"id": v.ID, "team_id": TeamID, "type": v.Type, "blocks": v.Blocks, "private_metadata": v.PrivateMetadata, "callback_id": v.CallbackID,
		"state": map[string]any{"values": map[string]any{}}, "hash": v.Hash, "clear_on_close": v.raw["clear_on_close"] == true,
		"notify_on_close": v.raw["notify_on_close"] == true, "previous_view_id": nil, "root_view_id": v.Root, "app_id": AppID,
		"external_id": field(v.raw, "external_id"), "app_installed_team_id": TeamID, "bot_id": BotID}
	if v.Previous != "" {
		out["previous_view_id"] = v.Previous
	}
	for _, k := range []string{"title", "submit", "close"} {
		out[k] = v.raw[k]
	}
	return out
}
