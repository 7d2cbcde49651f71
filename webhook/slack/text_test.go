package slack

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	slackgo "github.com/slack-go/slack"
	"pgregory.net/rapid"
)

// naughty are texts that mention, link, format, hide or reorder.
func naughty() []string {
	return []string{
		"<!channel>", "<!here|x>", "<!everyone>", "<@U0BOB>", "<#C0DEPLOYS>", "<!subteam^S0RELEASE>", "@channel", "@here",
		"<https://evil.example|https://github.com>", "https://evil.example/approve", "<mailto:a@b|x>", "<!date^1^{date}|x>",
		"`code`", "```block```", "*bold*", "_italic_", "~struck~", ">quote", "&lt;!channel&gt;", "&amp;lt;", ":white_check_mark: approved",
		"a\u202eb\u202c", "\u2066iso\u2069", "zero\u200bwidth\u200d\ufeff", "nul\x00bell\x07esc\x1b[31m", "line\nbreak\r\n*Approved*", "\u2028\u2029",
		"z\u0335\u0321\u0334\u0337\u0322\u0328\u0327\u0321\u0335algo", "tag\U000e0041\U000e0042", "blank\u3164\u2800", "\xff\xfe broken", "p\u0430yments", strings.Repeat("\u202e", 50),
	}
}

// markupOf are all texts of a message that Slack parses, and others are those
// that it does not.
func textsOf(m Message) (parsed, others []string) {
	add := func(o *slackgo.TextBlockObject) {
		switch {
		case o == nil:
		case o.Type == slackgo.MarkdownType:
			parsed = append(parsed, o.Text)
		default:
			others = append(others, o.Text)
		}
	}
	parsed = append(parsed, m.Text)
	for _, b := range m.Blocks {
		switch b := b.(type) {
		case *slackgo.HeaderBlock:
			add(b.Text)
		case *slackgo.SectionBlock:
			add(b.Text)
			for _, f := range b.Fields {
				add(f)
			}
		case *slackgo.ContextBlock:
			for _, e := range b.ContextElements.Elements {
				add(e.(*slackgo.TextBlockObject))
			}
		}
	}
	return parsed, others
}

// haunted is a request in which every text of strangers is s.
func haunted(s string) (gatekeeper.Request, View) {
	r := approved()
	r.Environment, r.Reason, r.DenyReason, r.Freeze, r.Rule.Name = s, s, s, s, s
	r.Workload.Repository, r.Workload.Ref, r.Workload.SHA, r.Workload.Actor = s, s, s, s
	r.Workload.RunID, r.Workload.RunAttempt, r.Workload.RunURL = s, s, "https://github.com/"+s
	r.Votes[0].Person.Name, r.Votes[0].Person.Slack, r.Votes[0].Reason = s, s, s
	r.Rule.Approval.Groups[0].Name, r.Initiators.Why = s, s
	r.Redemptions = []gatekeeper.Redemption{{Job: s, Credential: s, Detail: s, State: gatekeeper.RedemptionFailed}}
	names := []string{s, s}
	return r, View{Context: &Context{
		Title: s, Compare: "https://github.com/" + s, Commits: []Commit{{s, s, s}}, Authors: names, Branch: s, ReRunBy: s, Diff: s,
		Pull: &Pull{Number: 12, Title: s, Author: s, URL: "https://github.com/" + s, ApprovedBy: names, ChangesWantedBy: names}, Checks: &Checks{Failed: names},
	}}
}

// Threats row 28: strangers' text never reaches Slack's parser: what is
// parsed has the same mentions, links and formatting as with innocent text.
func TestNaughtyStringsStayText(t *testing.T) {
	for _, s := range naughty() {
		for _, state := range []gatekeeper.State{gatekeeper.Pending, gatekeeper.Approved, gatekeeper.Denied, gatekeeper.Revoked} {
			r, v := haunted(s)
			r.State = state
			harmless(t, Render(r, v), s)
		}
	}
}

func harmless(t interface{ Errorf(string, ...any) }, m Message, s string) {
	parsed, others := textsOf(m)
	for _, text := range parsed {
		for rest := text; ; {
			_, after, found := strings.Cut(rest, "<")
			if !found {
				break
			}
			tag, next, closed := strings.Cut(after, ">")
			ours := tag == "!here" || groupID.MatchString(strings.TrimPrefix(tag, "!subteam^")) || strings.HasPrefix(tag, "!date^") || strings.HasPrefix(tag, "https://github.com/") || userID.MatchString(strings.TrimPrefix(tag, "@"))
			if !closed || !ours {
				t.Errorf("%q opens the tag %q in %q", s, tag, text)
			}
			rest = next
		}
		stars := strings.NewReplacer("*Approved in an emergency*", "", "*Approved*", "", "*Denied*", "", "*Revoked*", "", "*1 commit*", "", "*Approvals:*", "").Replace(text)
		if i := strings.Index(stars, ":*"); i >= 0 && strings.HasPrefix(stars, "*") { // a group's name of ours: *name:*
			stars = stars[1:i] + stars[i+2:]
		}
		if strings.HasPrefix(stars, "*") && strings.HasSuffix(stars, "*") { // a label
			stars = strings.Trim(stars, "*")
		}
		if strings.ContainsAny(stars, "*`~") {
			t.Errorf("%q formats in %q", s, text)
		}
	}
	for _, text := range append(parsed, others...) {
		if !utf8.ValidString(text) || strings.ContainsAny(text, "\x00\x07\x1b\r\u200b\u200d\u202e\u2066\u2069\u2028\u2029\ufeff\u3164") {
			t.Errorf("%q leaves what hides or reorders in %q", s, text)
		}
	}
}

func TestNaughtyStringsStayTextWhateverTheyAre(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.OneOf(rapid.String(), rapid.StringMatching("[<>|!@#&*_~`:a-z^ \u202e]{0,40}")).Draw(t, "text")
		r, v := haunted(s)
		harmless(t, Render(r, v), s)
	})
}

// Threats row 2 and 28: a name that merely looks like another one shows it.
func TestInvisibleDifferencesShow(t *testing.T) {
	for _, other := range []string{"prod\u200b", "prod\u00ad", "prod\u202e", "pr\u2060od", "prod\u00a0", "prod\x00", "prod\n"} {
		if exact(other) == "prod" || !strings.Contains(exact(other), "\ufffd") {
			t.Errorf("%q shows as %q", other, exact(other))
		}
	}
	if got := exact("prod eu_1/ünï"); got != "prod eu_1/ünï" {
		t.Errorf("an innocent name shows as %q", got)
	}
}

func TestEscape(t *testing.T) {
	for in, want := range map[string]string{
		"feature/a_b-c": "feature/a_b-c", "<a&b>": "&lt;a&amp;b&gt;", "*b* ~s~ `c` _i_": "∗b∗ ∼s∼ 'c' ˍiˍ", ":x: 10:30": "∶x∶ 10:30",
	} {
		if got := escape(in); got != want {
			t.Errorf("escape(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestCutByRunes(t *testing.T) {
	if got := line("äöü😀x", 4); got != "äöü…" {
		t.Errorf("got %q", got)
	}
	if got := lines("one\r\n two\u2028", 20); got != "one\n two\ufffd" {
		t.Errorf("got %q", got)
	}
}

func TestLinksOfStrangers(t *testing.T) {
	for address, want := range map[string]string{
		"https://github.com/a/b?x=1&y=2": "<https://github.com/a/b?x=1&amp;y=2|here>",
		"http://127.0.0.1:80/x":          "<http://127.0.0.1:80/x|here>",
		"https://g/a|evil>":              "<https://g/a%7Cevil%3E|here>",
		"https://g/?a|evil>":             "here", "javascript:alert(1)": "here", "http://evil.example": "here",
		"https://user:pw@github.com": "here", "": "here", "//x": "here",
	} {
		if got := link(address, "here"); got != want {
			t.Errorf("link(%q) = %q, want %q", address, got, want)
		}
	}
}

func FuzzText(f *testing.F) {
	for _, s := range naughty() {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, got := range []string{line(s, 50), lines(s, 50), escape(line(s, 50))} {
			if !utf8.ValidString(got) {
				t.Errorf("%q becomes invalid UTF-8: %q", s, got)
			}
		}
		if utf8.RuneCountInString(line(s, 50)) > 50 || strings.ContainsAny(line(s, 50), "\n\r\t") {
			t.Errorf("%q is no line: %q", s, line(s, 50))
		}
		if strings.ContainsAny(escape(s), "<>*~`") {
			t.Errorf("%q is not literal: %q", s, escape(s))
		}
	})
}
