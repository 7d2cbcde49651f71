package slackbox

import (
	"embed"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"html/template"
	"io/fs"
	"net/http"
	"strings"
)

//go:embed page
var files embed.FS

// pages adds what people look at.
func (w *Workspace) pages(mux *http.ServeMux) {
	t := template.Must(template.New("").Funcs(renderer{}.funcs()).ParseFS(files, "page/*.html"))
	mux.HandleFunc("GET /{$}", w.servePage(t))
	mux.HandleFunc("GET /_sandbox/events", w.serveEvents)
	static, err := fs.Sub(files, "page")
	if err != nil {
		panic(err) // the folder is embedded above
	}
	mux.Handle("GET /_sandbox/static/", http.StripPrefix("/_sandbox/static/", http.FileServerFS(static)))
}

// serveEvents tells the page when to look again.
func (w *Workspace) serveEvents(rw http.ResponseWriter, r *http.Request) {
	rw.Header().Set("Content-Type", "text/event-stream")
	rw.Header().Set("Cache-Control", "no-store")
	controller := http.NewResponseController(rw)
	last := -1
	for {
		ok := w.Wait(r.Context(), func() bool { return w.Revision() != last }) == nil
		if !ok {
			return
		}
		last = w.Revision()
		fmt.Fprintf(rw, "data: %d\n\n", last)
		if controller.Flush() != nil {
			return
		}
	}
}

// funcs are what the templates call.
func (r renderer) funcs() template.FuncMap {
	return template.FuncMap{
		"text":     r.Text,
		"mrkdwn":   r.Mrkdwn,
		"rich":     r.rich,
		"field":    func(o any, key string) string { m, _ := o.(map[string]any); return field(m, key) },
		"kind":     kindOf,
		"initials": initials,
		"hue":      hue,
		"json":     func(v any) (string, error) { b, err := json.Marshal(v); return string(b), err },
		"dict":     dict,
		"link":     at,
		"number":   whole,
		"list":     func(v any) []any { l, _ := v.([]any); return l },
		"safeurl":  func(s string) bool { return strings.HasPrefix(s, "https://") || strings.HasPrefix(s, "http://") },
		"plural": func(n int, one string) string {
			if n == 1 {
				return "1 " + one
			}
			return fmt.Sprintf("%d %s", n, strings.TrimSuffix(one, "y")+map[bool]string{true: "ies", false: "s"}[strings.HasSuffix(one, "y")])
		},
		"initial": initial,
	}
}

// dict makes a template's argument of pairs.
func dict(pairs ...any) map[string]any {
	out := map[string]any{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if k, ok := pairs[i].(string); ok {
			out[k] = pairs[i+1]
		}
	}
	return out
}

func initials(name string) string {
	for _, c := range name {
		return strings.ToUpper(string(c))
	}
	return "?"
}

// hue gives everybody a colour of their own.
func hue(id string) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(id)) // a hash never fails
	return int(h.Sum32() % 360)
}

// rich shows a part of a rich_text block.
func (r renderer) rich(v any) template.HTML {
	o, _ := v.(map[string]any)
	var inner strings.Builder
	items, _ := o["elements"].([]any)
	for _, x := range items {
		part := r.rich(x)
		if kindOf(o) == "rich_text_list" {
			part = "<li>" + part + "</li>"
		}
		inner.WriteString(string(part))
	}
	if items != nil {
		open, end := "<p>", "</p>"
		switch kindOf(o) {
		case "rich_text_list":
			open, end = "<ul>", "</ul>"
			if field(o, "style") == "ordered" {
				open, end = "<ol>", "</ol>"
			}
		case "rich_text_quote":
			open, end = "<blockquote>", "</blockquote>"
		case "rich_text_preformatted":
			open, end = `<pre class="code">`, "</pre>"
		}
		return template.HTML(open + inner.String() + end)
	}
	return r.richLeaf(o)
}

func (r renderer) richLeaf(o map[string]any) template.HTML {
	var b strings.Builder
	switch kindOf(o) {
	case "text":
		b.WriteString(string(r.Plain(field(o, "text"))))
	case "link":
		link(&b, field(o, "url"), template.HTMLEscapeString(or(field(o, "text"), field(o, "url"))))
	case "user":
		r.mention(&b, field(o, "user_id"), "")
	case "channel":
		r.channelLink(&b, field(o, "channel_id"), "")
	case "usergroup":
		r.angle(&b, "!subteam^"+field(o, "usergroup_id"))
	case "broadcast":
		r.angle(&b, "!"+field(o, "range"))
	case "date":
		b.WriteString(template.HTMLEscapeString(r.date(fmt.Sprint(o["timestamp"])+"^"+field(o, "format"), field(o, "fallback"))))
	case "emoji":
		if emojiAt(&b, ":"+field(o, "name")+":") == 0 {
			b.WriteString(template.HTMLEscapeString(":" + field(o, "name") + ":"))
		}
	}
	out := b.String()
	style, _ := o["style"].(map[string]any)
	for key, tag := range map[string]string{"bold": "b", "italic": "i", "strike": "s", "code": "code"} {
		if style[key] == true {
			out = "<" + tag + ">" + out + "</" + tag + ">"
		}
	}
	return template.HTML(out)
}
