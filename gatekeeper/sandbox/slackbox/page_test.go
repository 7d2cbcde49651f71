package slackbox_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/slackbox"
)

// get reads a page of the workspace.
func (b *bench) get(path string, change func(*http.Request)) (int, string) {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), http.MethodGet, b.URL()+strings.TrimPrefix(path, "/"), nil)
	if err != nil {
		b.t.Fatal(err)
	}
	if change != nil {
		change(r)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// Threats row 28: what Slack would show of a text, and nothing that a browser
// would take for more.
func TestPageShowsTexts(t *testing.T) {
	for name, c := range map[string]struct{ text, want, not string }{
		"script":            {`<script>alert(1)</script>`, ``, `<script>alert`},
		"image":             {`&lt;img src=x onerror=alert(1)&gt;`, `&lt;img src=x onerror=alert(1)&gt;`, `<img`},
		"attribute":         {`<https://e.com/"onclick="x|here>`, `here</a>`, `"onclick="`},
		"javascript":        {`<javascript:alert(1)|here>`, `here`, `href="javascript`},
		"data":              {`<data:text/html,x|here>`, `here`, `href="data`},
		"label":             {`<https://e.com|<b>here>`, ``, `<b>here`},
		"link":              {`<https://e.com/?a=1&amp;b=2|here>`, `<a href="https://e.com/?a=1&amp;b=2" target="_blank" rel="noopener noreferrer">here</a>`, ``},
		"bare link":         {`see https://e.com/x.`, `<a href="https://e.com/x" target="_blank" rel="noopener noreferrer">https://e.com/x</a>.`, ``},
		"person":            {`<@U0CAROL>`, `<span class="mention" data-user="U0CAROL">@Carol</span>`, ``},
		"me":                {`<@U0BOB>`, `<span class="mention me" data-user="U0BOB">@Bob</span>`, ``},
		"nobody":            {`<@U0"><b>`, `@unknown`, `<b>`},
		"channel":           {`<#C0PAYMENTS>`, `#payments</a>`, ``},
		"hidden channel":    {`<#C0SECRET>`, `#private`, `#secret`},
		"everybody":         {`<!channel>`, `<span class="mention me">@channel</span>`, ``},
		"group":             {`<!subteam^S0RELEASE>`, `@release-managers`, ``},
		"escaped mention":   {`&lt;!channel&gt;`, `&lt;!channel&gt;`, `mention me`},
		"bold":              {`*bold* and _it_ ~no~`, `<b>bold</b> and <i>it</i> <s>no</s>`, ``},
		"not bold":          {`2*3*4 snake_case_name`, `2*3*4 snake_case_name`, `<b>3`},
		"code":              {"run `a *b* <c>`", `<code>a *b* &lt;c&gt;</code>`, ``},
		"block of code":     {"```\nx < y\n```", `<pre class="code">x &lt; y</pre>`, ``},
		"quote":             {"&gt; said\nafter", `<blockquote>said</blockquote>after`, ``},
		"emoji":             {`:rocket: :no_such_thing:`, `🚀</span> :no_such_thing:`, ``},
		"date":              {`<!date^1795514400^{date_num}|then>`, `2026-11-24`, ``},
		"date without":      {`<!date^x^{date}|then>`, `then`, ``},
		"lines":             {"one\ntwo", `one<br>two`, ``},
		"unclosed":          {"*a `b <c", "*a `b &lt;c", ``},
		"right to left":     {"a\u202eb", "a\u202eb", ``}, // the stand-in shows what Slack shows; taking it out is the app's part
		"plain text markup": {"plain: *x* <@U0BOB> &amp;", ``, ``},
	} {
		t.Run(name, func(t *testing.T) {
			b := start(t, nil)
			b.must("chat.postMessage", m{"channel": "C0DEPLOYS", "text": c.text})
			_, page := b.get("?as=U0BOB&in=C0DEPLOYS", nil)
			_, page, _ = strings.Cut(page, `<article`)
			page, _, _ = strings.Cut(page, `</article>`)
			if !strings.Contains(page, c.want) || c.not != "" && strings.Contains(page, c.not) {
				t.Errorf("%q is shown as %s; want %q, not %q", c.text, page, c.want, c.not)
			}
		})
	}
}

func TestPlainTextIsPlain(t *testing.T) {
	b := start(t, nil)
	b.must("chat.postMessage", m{"channel": "C0DEPLOYS", "text": "t", "blocks": []any{m{"type": "section", "text": text("plain_text", "*x* <@U0BOB> <b> :tada:")}}})
	_, page := b.get("?as=U0BOB&in=C0DEPLOYS", nil)
	if want := `*x* &lt;@U0BOB&gt; &lt;b&gt; <span class="emoji" title=":tada:">🎉</span>`; !strings.Contains(page, want) {
		t.Errorf("page lacks %s", want)
	}
}

func TestPageOfEachPerson(t *testing.T) {
	b := start(t, nil)
	ts := b.must("chat.postMessage", deployment("req_1")).str("ts")
	b.must("chat.update", m{"channel": "C0DEPLOYS", "ts": ts, "text": "changed"})
	b.must("chat.postMessage", m{"channel": "C0DEPLOYS", "thread_ts": ts, "text": "in the thread"})
	b.must("chat.postEphemeral", m{"channel": "C0DEPLOYS", "user": "U0BOB", "text": "for Bob alone"})
	b.must("chat.postMessage", m{"channel": "U0ALICE", "text": "for Alice"})
	if _, page := b.get("?as=U0ALICE&in=C0DEPLOYS", nil); !strings.Contains(page, `<b class="count">1</b>`) {
		t.Error("Alice does not see that she has a direct message")
	}
	for name, c := range map[string]struct {
		path      string
		has, lack []string
	}{
		"channel": {"?as=U0BOB&in=C0DEPLOYS", []string{`data-ts="` + ts + `"`, `data-action-id="approve"`, `data-value="req_1"`, "(edited)", "1 reply", "Only visible to you", "for Bob alone"},
			[]string{"in the thread", "for Alice", `data-channel="C0SECURITY"`}},
		"another person":  {"?as=U0EVE&in=C0DEPLOYS", []string{`data-action-id="approve"`}, []string{"for Bob alone"}},
		"thread":          {"?as=U0BOB&in=C0DEPLOYS&thread=" + ts, []string{"in the thread", `id="replies"`}, nil},
		"direct messages": {"?as=U0ALICE&in=D0ALICE", []string{"for Alice"}, nil},
		"deactivated":     {"?as=U0FRANK&in=C0DEPLOYS", []string{"deactivated. The real Slack"}, nil},
		"private":         {"?as=U0SAM&in=C0SECURITY", []string{`data-channel="C0SECURITY"`}, nil},
		"not mine":        {"?as=U0EVE&in=C0SECURITY", []string{"No such conversation"}, nil},
		"nobody":          {"?as=U0NOBODY", []string{`data-as="U0ALICE"`}, nil},
	} {
		status, page := b.get(c.path, nil)
		if status != http.StatusOK {
			t.Errorf("%s: %d", name, status)
		}
		for _, want := range c.has {
			if !strings.Contains(page, want) {
				t.Errorf("%s lacks %q", name, want)
			}
		}
		for _, not := range c.lack {
			if strings.Contains(page, not) {
				t.Errorf("%s has %q", name, not)
			}
		}
	}
}

func TestPageURL(t *testing.T) {
	b := start(t, func(o *slackbox.Options) { o.CommandsURL = "" })
	_, page := b.get(strings.TrimPrefix(b.PageURL("U0BOB", "C0PAYMENTS"), b.URL()), nil)
	if !strings.Contains(page, `data-as="U0BOB" data-in="C0PAYMENTS"`) {
		t.Error("the URL leads elsewhere")
	}
	if strings.Contains(page, "/gatekeeper") {
		t.Error("a command is advertised that goes nowhere")
	}
}

// The workspace lets anybody act as anybody, so nobody but this machine's
// people may reach it, not even through their own browser.
func TestLoopbackOnly(t *testing.T) {
	b := start(t, nil)
	for name, change := range map[string]func(*http.Request){
		"name that resolves to us": func(r *http.Request) { r.Host = "evil.example:80" },
		"another site's script":    func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") },
		"another local port":       func(r *http.Request) { r.Header.Set("Origin", "http://127.0.0.1:1") },
		"nameless origin":          func(r *http.Request) { r.Header.Set("Origin", "null") },
	} {
		if status, _ := b.get("/_sandbox/people", change); status != http.StatusForbidden {
			t.Errorf("%s: %d", name, status)
		}
	}
	if r := b.send(b.URL()+"_sandbox/click", "", "text/plain", `{"user":"U0BOB"}`); r.status != http.StatusUnsupportedMediaType {
		t.Errorf("a form of another site: %d", r.status)
	}
	for _, addr := range []string{"0.0.0.0:0", ":0", "192.0.2.1:0", "example.com:0"} {
		if w, err := slackbox.New(slackbox.Options{Addr: addr}); err == nil {
			w.Close()
			t.Errorf("it listens on %s", addr)
		}
	}
}

// A reply that is broadcast says in the channel what it replies to, and in its
// thread that the channel has it, too.
func TestPageShowsThreads(t *testing.T) {
	b := start(t, nil)
	root := b.must("chat.postMessage", deployment("req_1")).str("ts")
	b.must("chat.postMessage", m{"channel": "C0DEPLOYS", "thread_ts": root, "text": "still waits", "reply_broadcast": true})
	b.must("chat.postMessage", m{"channel": "C0DEPLOYS", "thread_ts": root, "text": "in the thread alone"})
	b.must("chat.postMessage", m{"channel": "U0CAROL", "text": "for you"})
	_, channel := b.get("?as=U0BOB&in=C0DEPLOYS", nil)
	if !strings.Contains(channel, "replied to a thread: ") || !strings.Contains(channel, "still waits") || strings.Contains(channel, "in the thread alone") || !strings.Contains(channel, "2 replies") {
		t.Errorf("the channel shows %s", channel)
	}
	if !strings.Contains(channel, `<b>Carol</b> <b class="count">1</b>`) {
		t.Error("who has something unread is not seen among the people")
	}
	_, thread := b.get("?as=U0BOB&in=C0DEPLOYS&thread="+root, nil)
	if strings.Count(thread, "Also sent to the channel") != 1 || !strings.Contains(thread, "in the thread alone") {
		t.Errorf("the thread shows %s", thread)
	}
}
