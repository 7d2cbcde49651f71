package slackbox_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/slackbox"
	slackgo "github.com/slack-go/slack"
)

// The SDK that the gatekeeper uses is the best judge of the shapes.
func TestSDKUnderstandsTheWorkspace(t *testing.T) {
	b := start(t, nil)
	api := slackgo.New(slackbox.BotToken, slackgo.OptionAPIURL(b.APIURL()))
	who, err := api.AuthTestContext(t.Context())
	if err != nil || who.TeamID != slackbox.TeamID || who.UserID != slackbox.BotUser || who.BotID != slackbox.BotID {
		t.Fatalf("auth.test: %+v, %v", who, err)
	}
	channel, ts, err := api.PostMessageContext(t.Context(), "C0DEPLOYS", slackgo.MsgOptionText("hello", false),
		slackgo.MsgOptionBlocks(slackgo.NewSectionBlock(slackgo.NewTextBlockObject("mrkdwn", "*hello*", false, true), nil, nil)),
		slackgo.MsgOptionMetadata(slackgo.SlackMetadata{EventType: "e", EventPayload: map[string]any{"request_id": "req_1"}}))
	if err != nil {
		t.Fatal(err)
	}
	history, err := api.GetConversationHistoryContext(t.Context(), &slackgo.GetConversationHistoryParameters{ChannelID: channel, IncludeAllMetadata: true})
	if err != nil || len(history.Messages) != 1 || history.Messages[0].Metadata.EventPayload["request_id"] != "req_1" || history.Messages[0].Timestamp != ts {
		t.Fatalf("history: %+v, %v", history, err)
	}
	if _, _, _, err := api.UpdateMessageContext(t.Context(), channel, ts, slackgo.MsgOptionText("bye", false)); err != nil {
		t.Fatal(err)
	}
	m, _ := b.Message(channel, ts)
	if m.Text != "bye" || len(m.Blocks) != 1 || m.Metadata == nil || len(m.Versions) != 1 || m.Versions[0].Text != "hello" {
		t.Errorf("an update without blocks and metadata keeps them: %+v", m)
	}
	for id, want := range map[string]func(*slackgo.User) bool{
		"U0BOB":     func(u *slackgo.User) bool { return !u.Deleted && !u.IsBot && u.TeamID == slackbox.TeamID },
		"U0FRANK":   func(u *slackgo.User) bool { return u.Deleted },
		"U0DAVE":    func(u *slackgo.User) bool { return u.IsRestricted && !u.IsUltraRestricted },
		"U0GRETA":   func(u *slackgo.User) bool { return u.IsRestricted && u.IsUltraRestricted },
		"U0MALLORY": func(u *slackgo.User) bool { return u.IsStranger && u.TeamID == "T0EVIL" },
		"U0ROBOT":   func(u *slackgo.User) bool { return u.IsBot },
	} {
		if u, err := api.GetUserInfoContext(t.Context(), id); err != nil || !want(u) {
			t.Errorf("%s: %+v, %v", id, u, err)
		}
	}
	members, err := api.GetUserGroupMembersContext(t.Context(), "S0ONCALL")
	if err != nil || len(members) != 1 || members[0] != "U0CAROL" {
		t.Errorf("members: %v, %v", members, err)
	}
	groups, err := api.GetUserGroupsContext(t.Context())
	if err != nil || len(groups) != 4 {
		t.Errorf("groups: %v, %v", groups, err)
	}
	im, _, _, err := api.OpenConversationContext(t.Context(), &slackgo.OpenConversationParameters{Users: []string{"U0ALICE"}})
	if err != nil || im.ID != "D0ALICE" {
		t.Errorf("open: %+v, %v", im, err)
	}
	if _, err := api.PostEphemeralContext(t.Context(), "C0DEPLOYS", "U0BOB", slackgo.MsgOptionText("psst", false)); err != nil {
		t.Error(err)
	}
	list, _, err := api.GetConversationsContext(t.Context(), &slackgo.GetConversationsParameters{Types: []string{"public_channel", "private_channel"}})
	if err != nil || len(list) != 5 {
		t.Errorf("%d channels, want all but the private one without us: %v", len(list), err)
	}
}

func TestErrors(t *testing.T) {
	b := start(t, nil)
	for name, c := range map[string]struct {
		method string
		in     m
		want   string
	}{
		"unknown user":               {"users.info", m{"user": "U0NOBODY"}, "user_not_found"},
		"unknown group":              {"usergroups.users.list", m{"usergroup": "S0NONE"}, "no_such_subteam"},
		"disabled group":             {"usergroups.users.list", m{"usergroup": "S0GONE"}, "no_such_subteam"},
		"disabled group, asked for":  {"usergroups.users.list", m{"usergroup": "S0GONE", "include_disabled": true}, ""},
		"message to a deactivated":   {"conversations.open", m{"users": "U0FRANK"}, "user_disabled"},
		"history from outside":       {"conversations.history", m{"channel": "C0RANDOM"}, "not_in_channel"},
		"history of a hidden one":    {"conversations.history", m{"channel": "C0SECRET"}, "channel_not_found"},
		"history with a bad cursor":  {"conversations.history", m{"channel": "C0DEPLOYS", "cursor": "!"}, "invalid_cursor"},
		"whisper to one outside":     {"chat.postEphemeral", m{"channel": "C0SECURITY", "user": "U0EVE", "text": "x"}, "user_not_in_channel"},
		"whisper where we are not":   {"chat.postEphemeral", m{"channel": "C0RANDOM", "user": "U0EVE", "text": "x"}, "not_in_channel"},
		"view without trigger":       {"views.open", m{"view": modal(nil)}, "invalid_arguments"},
		"view with a wrong trigger":  {"views.open", m{"view": modal(nil), "trigger_id": "1.2.3"}, "invalid_trigger_id"},
		"home of a deactivated":      {"views.publish", m{"user_id": "U0FRANK", "view": m{"type": "home", "blocks": []any{}}}, "user_not_found"},
		"socket with the bot's":      {"apps.connections.open", m{}, "not_allowed_token_type"},
		"permalink of no message":    {"chat.getPermalink", m{"channel": "C0DEPLOYS", "message_ts": "1.0"}, "message_not_found"},
		"somebody by an old address": {"users.lookupByEmail", m{"email": "nobody@acme.com"}, "users_not_found"},
	} {
		if got := b.call(c.method, c.in).code(); got != c.want {
			t.Errorf("%s: error %q, want %q", name, got, c.want)
		}
	}
}

func TestTokens(t *testing.T) {
	b := start(t, nil)
	target := b.APIURL() + "auth.test"
	form := "application/x-www-form-urlencoded"
	for name, c := range map[string]struct {
		r    result
		want string
	}{
		"none":          {b.send(target, "", form, ""), "not_authed"},
		"wrong":         {b.send(target, "xoxb-wrong", form, ""), "invalid_auth"},
		"header":        {b.send(target, slackbox.BotToken, form, ""), ""},
		"form":          {b.send(target, "", form, url.Values{"token": {slackbox.BotToken}}.Encode()), ""},
		"query":         {b.send(target+"?token="+slackbox.BotToken, "", form, ""), "not_authed"},
		"json":          {b.send(target, "", "application/json", `{"token":"`+slackbox.BotToken+`"}`), "not_authed"},
		"app's":         {b.send(target, slackbox.AppToken, form, ""), "not_allowed_token_type"},
		"no json":       {b.send(target, slackbox.BotToken, "application/json", `{`), "invalid_json"},
		"no object":     {b.send(target, slackbox.BotToken, "application/json", `[]`), "json_not_object"},
		"other content": {b.send(target, slackbox.BotToken, "text/plain", `x`), "invalid_post_type"},
	} {
		if got := c.r.code(); got != c.want {
			t.Errorf("%s: error %q, want %q", name, got, c.want)
		}
	}
	for _, c := range b.Calls() {
		if _, kept := c.Args["token"]; kept {
			t.Error("a token is kept in the record")
		}
	}
	b.SetBotToken("xoxb-new")
	if got := b.call("auth.test", nil).code(); got != "invalid_auth" {
		t.Errorf("revoked token: %q", got)
	}
}

func TestScopes(t *testing.T) {
	for name, c := range map[string]struct {
		has, method string
		in          m
		needed      string // empty: enough
	}{
		"post":                     {"chat:write", "chat.postMessage", m{"channel": "C0DEPLOYS", "text": "t"}, ""},
		"post without":             {"users:read", "chat.postMessage", m{"channel": "C0DEPLOYS", "text": "t"}, "chat:write"},
		"public history":           {"channels:history", "conversations.history", m{"channel": "C0DEPLOYS"}, ""},
		"private history":          {"channels:history", "conversations.history", m{"channel": "C0SECURITY"}, "groups:history"},
		"people":                   {"chat:write", "users.info", m{"user": "U0BOB"}, "users:read"},
		"groups":                   {"chat:write", "usergroups.users.list", m{"usergroup": "S0RELEASE"}, "usergroups:read"},
		"open a direct message":    {"channels:manage", "conversations.open", m{"users": "U0BOB"}, "im:write"},
		"views and auth need none": {"chat:write", "auth.test", nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			b := start(t, func(o *slackbox.Options) { o.Scopes = []string{c.has} })
			r := b.call(c.method, c.in)
			if c.needed == "" {
				if r.code() != "" || r.header.Get("X-OAuth-Scopes") != c.has {
					t.Errorf("%v, scopes %q", r.body, r.header.Get("X-OAuth-Scopes"))
				}
				return
			}
			if r.code() != "missing_scope" || r.str("needed") != c.needed || r.str("provided") != c.has {
				t.Errorf("%v, want missing_scope %s", r.body, c.needed)
			}
		})
	}
	b := start(t, func(o *slackbox.Options) { o.Scopes = []string{"chat:write"} })
	if got := b.call("chat.postMessage", m{"channel": "C0RANDOM", "text": "t"}).code(); got != "not_in_channel" {
		t.Errorf("without chat:write.public: %q", got)
	}
	b.SetScopes("chat:write", "chat:write.public")
	b.must("chat.postMessage", m{"channel": "C0RANDOM", "text": "t"})
}

// Threats row 29: one message a second a channel.
func TestRateOfAChannel(t *testing.T) {
	b := start(t, func(o *slackbox.Options) { o.Burst = 2 })
	post := func(channel string) result { return b.call("chat.postMessage", m{"channel": channel, "text": "t"}) }
	post("C0DEPLOYS")
	post("C0DEPLOYS")
	r := post("C0DEPLOYS")
	if r.status != http.StatusTooManyRequests || r.header.Get("Retry-After") != "1" || r.code() != "ratelimited" {
		t.Fatalf("%d %v %v", r.status, r.header, r.body)
	}
	if got := post("C0PAYMENTS"); got.code() != "" {
		t.Errorf("another channel: %v", got.body)
	}
	b.clock.add(time.Second)
	if got := post("C0DEPLOYS"); got.code() != "" {
		t.Errorf("after Retry-After: %v", got.body)
	}
	if n := len(b.Messages("C0DEPLOYS")); n != 3 {
		t.Errorf("%d messages, want 3", n)
	}
}

func TestRateOfAMethod(t *testing.T) {
	b := start(t, nil)
	var last result
	for range 21 {
		last = b.call("usergroups.list", nil)
	}
	if last.status != http.StatusTooManyRequests || last.header.Get("Retry-After") != "3" {
		t.Errorf("21st call of tier 2 within a minute: %d, Retry-After %q", last.status, last.header.Get("Retry-After"))
	}
	free := start(t, func(o *slackbox.Options) { o.NoRateLimits = true })
	for range 21 {
		last = free.call("usergroups.list", nil)
	}
	if last.code() != "" {
		t.Errorf("switched off: %v", last.body)
	}
}

func TestHistory(t *testing.T) {
	b := start(t, func(o *slackbox.Options) { o.NoRateLimits = true })
	var ts []string
	for i := range 5 {
		b.clock.add(time.Minute)
		ts = append(ts, b.must("chat.postMessage", deployment("req_"+string(rune('a'+i)))).str("ts"))
	}
	b.must("chat.postMessage", m{"channel": "C0DEPLOYS", "thread_ts": ts[0], "text": "a reply"})
	b.must("chat.postEphemeral", m{"channel": "C0DEPLOYS", "user": "U0BOB", "text": "private"})
	b.DeleteMessage("C0DEPLOYS", ts[4])
	read := func(in m) []string {
		in["channel"] = "C0DEPLOYS"
		var out []string
		for {
			r := b.must("conversations.history", in)
			for _, x := range r.body["messages"].([]any) {
				out = append(out, x.(m)["ts"].(string))
			}
			next := r.body["response_metadata"].(m)["next_cursor"].(string)
			if (next != "") != (r.body["has_more"] == true) {
				t.Fatalf("cursor %q, has_more %v", next, r.body["has_more"])
			}
			if next == "" {
				return out
			}
			in["cursor"] = next
		}
	}
	for name, c := range map[string]struct {
		in   m
		want []string
	}{
		"all, newest first":   {m{}, []string{ts[3], ts[2], ts[1], ts[0]}},
		"in pages":            {m{"limit": 3}, []string{ts[3], ts[2], ts[1], ts[0]}},
		"oldest is exclusive": {m{"oldest": ts[1]}, []string{ts[3], ts[2]}},
		"inclusive":           {m{"oldest": ts[1], "latest": ts[2], "inclusive": true}, []string{ts[2], ts[1]}},
		"latest":              {m{"latest": ts[1]}, []string{ts[0]}},
	} {
		if got := read(c.in); strings.Join(got, " ") != strings.Join(c.want, " ") {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	plain := b.must("conversations.history", m{"channel": "C0DEPLOYS", "limit": 1}).body["messages"].([]any)[0].(m)
	if plain["metadata"] != nil {
		t.Error("metadata comes without being asked for")
	}
	if r := b.must("conversations.replies", m{"channel": "C0DEPLOYS", "ts": ts[0]}); len(r.body["messages"].([]any)) != 2 {
		t.Errorf("replies: %v", r.body)
	}
}

func TestFaults(t *testing.T) {
	post := m{"channel": "C0DEPLOYS", "text": "t"}
	for name, c := range map[string]struct {
		fault  slackbox.Fault
		status int
		code   string
		posted int
	}{
		"an error":        {slackbox.Fault{Error: "fatal_error"}, 200, "fatal_error", 0},
		"a status":        {slackbox.Fault{Status: 503}, 503, "", 0},
		"rate limited":    {slackbox.Fault{Error: "ratelimited", RetryAfter: 7}, 429, "ratelimited", 0},
		"a proxy's page":  {slackbox.Fault{Status: 200, Body: "<html>"}, 200, "", 0},
		"cut before":      {slackbox.Fault{Reset: true}, 0, "", 0},
		"cut after":       {slackbox.Fault{Reset: true, After: true}, 0, "", 1},
		"error after":     {slackbox.Fault{Error: "internal_error", After: true}, 200, "internal_error", 1},
		"slow":            {slackbox.Fault{Delay: slackbox.Duration(time.Millisecond)}, 200, "", 1},
		"another method":  {slackbox.Fault{Method: "chat.update", Error: "fatal_error"}, 200, "", 1},
		"the same method": {slackbox.Fault{Method: "chat.postMessage", Error: "fatal_error"}, 200, "fatal_error", 0},
	} {
		t.Run(name, func(t *testing.T) {
			b := start(t, nil)
			b.Fail(c.fault)
			r := b.call("chat.postMessage", post)
			if r.status != c.status || r.code() != c.code || len(b.Messages("C0DEPLOYS")) != c.posted {
				t.Errorf("status %d, error %q, %d posted", r.status, r.code(), len(b.Messages("C0DEPLOYS")))
			}
			if calls := b.Calls("chat.postMessage"); len(calls) != 1 || calls[0].Status != c.status {
				t.Errorf("calls: %+v", calls)
			}
			if c.fault.Method != "chat.update" {
				if again := b.call("chat.postMessage", post); again.body["ok"] != true {
					t.Errorf("a fault is for one call: %v", again.body)
				}
			}
		})
	}
	b := start(t, nil)
	b.Fail(slackbox.Fault{Status: 500, Times: -1})
	for range 3 {
		if r := b.call("auth.test", nil); r.status != 500 {
			t.Errorf("down: %d", r.status)
		}
	}
	b.ClearFaults()
	b.must("auth.test", nil)
}
