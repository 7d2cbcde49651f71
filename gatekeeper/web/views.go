package web

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"strings"
	"time"
	"unicode"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

//go:embed templates/*.html
var templateFiles embed.FS

// views are the pages' templates, each with the frame around it.
type views map[string]*template.Template

// view is what a page shows. Me is the zero session where nobody is signed in.
type view struct {
	Title string
	At    string // the entry of the menu
	Me    session
	Body  any
}

func parseViews() views {
	helpers := template.FuncMap{"text": clean, "when": when, "ago": since, "plural": gatekeeper.Count, "join": strings.Join, "lower": strings.ToLower}
	all := views{}
	for _, name := range []string{"slack", "signin", "error", "inbox", "request", "confirm", "passkeys", "insights", "rules"} {
		all[name] = template.Must(template.New("frame.html").Funcs(helpers).ParseFS(templateFiles, "templates/frame.html", "templates/parts.html", "templates/"+name+".html"))
	}
	return all
}

// show writes a page whole or not at all.
func (v views) show(w http.ResponseWriter, status int, name string, with view) {
	var page bytes.Buffer
	if err := v[name].Execute(&page, with); err != nil {
		http.Error(w, "this page cannot be shown", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(page.Bytes())
}

// clean shows what hides: control and formatting characters of strangers'
// texts could reorder or blank what stands around them (threats row 28).
// Markup is escaped by the template.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return ' '
		}
		if unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Cs, unicode.Zl, unicode.Zp) {
			return unicode.ReplacementChar
		}
		return r
	}, s)
}

// when is a time for people, exact for machines and screen readers.
func when(t time.Time) template.HTML {
	if t.IsZero() {
		return "–"
	}
	t = t.UTC()
	return template.HTML(fmt.Sprintf(`<time datetime="%s">%s UTC</time>`, t.Format(time.RFC3339), t.Format("2 Jan 2006, 15:04:05"))) //nolint:gosec // made of digits
}

// since is a span in words of one unit.
func since(d time.Duration) string {
	switch d = d.Abs(); {
	case d < time.Minute:
		return gatekeeper.Count(int(d.Seconds()), "second")
	case d < time.Hour:
		return gatekeeper.Count(int(d.Minutes()), "minute")
	case d < 48*time.Hour:
		return gatekeeper.Count(int(d.Hours()), "hour")
	}
	return gatekeeper.Count(int(d.Hours()/24), "day")
}
