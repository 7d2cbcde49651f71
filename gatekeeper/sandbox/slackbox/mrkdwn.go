package slackbox

import (
	"html"
	"html/template"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// renderer shows texts as Slack does, to one person.
type renderer struct {
	users    map[string]User
	groups   map[string]Group
	channels map[string]Channel
	me       User
	now      time.Time
}

// Text shows a text object: mrkdwn, or plain_text, in which nothing but emoji
// has a meaning.
func (r renderer) Text(v any) template.HTML {
	o, _ := v.(map[string]any)
	s := field(o, "text")
	if kindOf(o) == "plain_text" {
		return r.Plain(s)
	}
	return r.mrkdwn(s, o["verbatim"] != true)
}

// Mrkdwn shows a message's text field.
func (r renderer) Mrkdwn(s string) template.HTML { return r.mrkdwn(s, true) }

// Plain shows text as it is, with emoji.
func (r renderer) Plain(s string) template.HTML {
	var b strings.Builder
	for s != "" {
		if n := emojiAt(&b, s); n > 0 {
			s = s[n:]
			continue
		}
		s = s[letter(&b, s):]
	}
	return template.HTML(b.String())
}

// letter writes the first character of s, escaped, and tells its length.
func letter(b *strings.Builder, s string) int {
	_, n := utf8.DecodeRuneInString(s)
	if s[:n] == "\n" {
		b.WriteString("<br>")
		return n
	}
	b.WriteString(html.EscapeString(s[:n]))
	return n
}

// mrkdwn is Slack's markup as HTML. Quotes and code blocks are found first,
// the rest line by line.
func (r renderer) mrkdwn(s string, links bool) template.HTML {
	var b strings.Builder
	for s != "" {
		before, code, found := strings.Cut(s, "```")
		inside, after, closed := strings.Cut(code, "```")
		if !found || !closed {
			r.paragraphs(&b, s, links)
			break
		}
		r.paragraphs(&b, strings.TrimSuffix(before, "\n"), links)
		b.WriteString(`<pre class="code">` + html.EscapeString(unescape(strings.Trim(inside, "\n"))) + `</pre>`)
		s = strings.TrimPrefix(after, "\n")
	}
	return template.HTML(b.String())
}

// paragraphs puts lines that begin with > into a quote.
func (r renderer) paragraphs(b *strings.Builder, s string, links bool) {
	if s == "" {
		return
	}
	quoted, first := false, true
	for line := range strings.SplitSeq(s, "\n") {
		text, isQuote := strings.CutPrefix(line, "&gt;")
		if !isQuote {
			text, isQuote = strings.CutPrefix(line, ">")
		}
		switch {
		case isQuote && !quoted:
			b.WriteString("<blockquote>")
		case !isQuote && quoted:
			b.WriteString("</blockquote>")
		case !first:
			b.WriteString("<br>")
		}
		quoted, first = isQuote, false
		r.inline(b, strings.TrimPrefix(text, map[bool]string{true: " ", false: ""}[isQuote]), links, 0)
	}
	if quoted {
		b.WriteString("</blockquote>")
	}
}

// maxNested bounds bold in italic in bold.
const maxNested = 8

// inline shows a line.
func (r renderer) inline(b *strings.Builder, s string, links bool, nested int) {
	previous := ' '
	for s != "" {
		n := r.special(b, s, previous, links, nested)
		if n == 0 {
			n = letter(b, s)
		}
		previous, _ = utf8.DecodeLastRuneInString(s[:n])
		s = s[n:]
	}
}

// special shows what s begins with and tells its length; 0: an ordinary letter.
func (r renderer) special(b *strings.Builder, s string, previous rune, links bool, nested int) int {
	switch s[0] {
	case '<':
		if end := strings.IndexByte(s, '>'); end > 1 {
			r.angle(b, s[1:end])
			return end + 1
		}
	case '&':
		for escaped, plain := range map[string]string{"&lt;": "&lt;", "&gt;": "&gt;", "&amp;": "&amp;"} {
			if strings.HasPrefix(s, escaped) {
				b.WriteString(plain)
				return len(escaped)
			}
		}
	case '`':
		if end := strings.IndexByte(s[1:], '`'); end > 0 {
			b.WriteString("<code>" + html.EscapeString(unescape(s[1:1+end])) + "</code>")
			return end + 2
		}
	case '*', '_', '~':
		if end := closing(s, previous); end > 0 && nested < maxNested {
			tag := map[byte]string{'*': "b", '_': "i", '~': "s"}[s[0]]
			b.WriteString("<" + tag + ">")
			r.inline(b, s[1:end], links, nested+1)
			b.WriteString("</" + tag + ">")
			return end + 1
		}
	case ':':
		return emojiAt(b, s)
	case 'h':
		if links && !wordy(previous) {
			return bareLink(b, s)
		}
	}
	return 0
}

// closing is where the delimiter that s begins with ends again; 0: it means
// nothing. Slack wants it at the borders of words.
func closing(s string, previous rune) int {
	if wordy(previous) || len(s) < 3 || s[1] == ' ' || s[1] == s[0] {
		return 0
	}
	for i := 2; i < len(s); i++ {
		if s[i] != s[0] || s[i-1] == ' ' {
			continue
		}
		next, _ := utf8.DecodeRuneInString(s[i+1:])
		if i+1 == len(s) || !wordy(next) {
			return i
		}
	}
	return 0
}

func wordy(c rune) bool { return unicode.IsLetter(c) || unicode.IsDigit(c) }

func unescape(s string) string {
	return strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&").Replace(s)
}

// bareLink links an address in the text.
func bareLink(b *strings.Builder, s string) int {
	if !strings.HasPrefix(s, "https://") && !strings.HasPrefix(s, "http://") {
		return 0
	}
	end := strings.IndexAny(s+" ", " \t<>|\"*`")
	address := strings.TrimRight(s[:end], ".,;:!?)")
	link(b, unescape(address), html.EscapeString(unescape(address)))
	return len(address)
}

// link writes one; label is HTML.
func link(b *strings.Builder, address, label string) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" && u.Scheme != "mailto" {
		b.WriteString(label)
		return
	}
	b.WriteString(`<a href="` + html.EscapeString(address) + `" target="_blank" rel="noopener noreferrer">` + label + `</a>`)
}

// angle shows what stands between < and >.
func (r renderer) angle(b *strings.Builder, s string) {
	target, label, labelled := strings.Cut(s, "|")
	switch {
	case strings.HasPrefix(target, "@"):
		r.mention(b, target[1:], label)
	case strings.HasPrefix(target, "#"):
		r.channelLink(b, target[1:], label)
	case strings.HasPrefix(target, "!subteam^"):
		g := r.groups[target[9:]]
		b.WriteString(`<span class="mention">@` + html.EscapeString(or(g.Handle, strings.TrimPrefix(label, "@"), target[9:])) + `</span>`)
	case strings.HasPrefix(target, "!date^"):
		b.WriteString(html.EscapeString(r.date(target[6:], unescape(label))))
	case target == "!channel" || target == "!here" || target == "!everyone":
		b.WriteString(`<span class="mention me">@` + target[1:] + `</span>`)
	case strings.HasPrefix(target, "!"):
		b.WriteString(html.EscapeString(or(unescape(label), target)))
	case labelled:
		var inner strings.Builder
		r.inline(&inner, label, false, maxNested-1)
		link(b, unescape(target), inner.String())
	default:
		link(b, unescape(target), html.EscapeString(strings.TrimPrefix(unescape(target), "mailto:")))
	}
}

func or(all ...string) string {
	for _, s := range all {
		if s != "" {
			return s
		}
	}
	return ""
}

func (r renderer) mention(b *strings.Builder, id, label string) {
	class := "mention"
	if id == r.me.ID {
		class = "mention me"
	}
	b.WriteString(`<span class="` + class + `" data-user="` + html.EscapeString(id) + `">@` + html.EscapeString(or(r.users[id].RealName, unescape(label), "unknown")) + `</span>`)
}

func (r renderer) channelLink(b *strings.Builder, id, label string) {
	c, ok := r.channels[id]
	if !ok || c.Private && !c.has(r.me) {
		b.WriteString(`<span class="mention">#` + html.EscapeString(or(unescape(label), "private")) + `</span>`)
		return
	}
	b.WriteString(`<a class="mention" href="?` + html.EscapeString(url.Values{"as": {r.me.ID}, "in": {id}}.Encode()) + `">#` + html.EscapeString(c.Name) + `</a>`)
}

// date shows <!date^unix^format^link|fallback> in the reader's zone, which is
// this machine's.
func (r renderer) date(s, fallback string) string {
	parts := strings.SplitN(s, "^", 3)
	unix, err := strconv.ParseInt(parts[0], 10, 64)
	if err != nil || len(parts) < 2 {
		return fallback
	}
	t := time.Unix(unix, 0).In(r.now.Location())
	near := func(layout string) string {
		days := int(day(t).Sub(day(r.now)).Hours() / 24)
		if word, ok := map[int]string{-1: "yesterday", 0: "today", 1: "tomorrow"}[days]; ok {
			return word
		}
		return t.Format(layout)
	}
	return strings.NewReplacer(
		"{date_num}", t.Format("2006-01-02"), "{date_slash}", t.Format("01/02/2006"), "{date}", t.Format("January 2, 2006"),
		"{date_pretty}", near("January 2, 2006"), "{date_short}", t.Format("Jan 2, 2006"), "{date_short_pretty}", near("Jan 2, 2006"),
		"{date_long}", t.Format("Monday, January 2, 2006"), "{date_long_pretty}", near("Monday, January 2, 2006"),
		"{time}", t.Format("15:04"), "{time_secs}", t.Format("15:04:05"), "{ago}", ago(r.now.Sub(t)),
	).Replace(parts[1])
}

// day is a date's midnight, of a length that summer time does not change.
func day(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC)
}

func ago(d time.Duration) string {
	unit, n := "minute", int(d.Abs().Minutes())
	if n >= 60 {
		unit, n = "hour", n/60
	}
	if n != 1 {
		unit += "s"
	}
	if d < 0 {
		return "in " + strconv.Itoa(n) + " " + unit
	}
	return strconv.Itoa(n) + " " + unit + " ago"
}
