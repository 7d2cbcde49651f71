package slackbox_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/slackbox"
)

func many(n int, item func(i int) any) []any {
	out := make([]any, n)
	for i := range out {
		out[i] = item(i)
	}
	return out
}

// Threats row 29: what Slack refuses, the stand-in refuses, at the same size.
func TestLimitsOfBlocks(t *testing.T) {
	long := func(n int) string { return strings.Repeat("x", n) }
	for name, c := range map[string]struct {
		blocks  []any
		code    string
		message string // among response_metadata.messages
	}{
		"section 3000":         {[]any{section(long(3000))}, "", ""},
		"section 3001":         {[]any{section(long(3001))}, "invalid_blocks", "[ERROR] must be less than 3001 characters [json-pointer:/blocks/0/text/text]"},
		"beyond the BMP":       {[]any{section(strings.Repeat("🚀", 1501))}, "invalid_blocks", "[ERROR] must be less than 3001 characters [json-pointer:/blocks/0/text/text]"},
		"section of nothing":   {[]any{m{"type": "section"}}, "invalid_blocks", "[ERROR] missing required field: text [json-pointer:/blocks/0]"},
		"empty text":           {[]any{section("")}, "invalid_blocks", "[ERROR] must be more than 0 characters [json-pointer:/blocks/0/text/text]"},
		"10 fields":            {[]any{m{"type": "section", "fields": many(10, func(int) any { return text("plain_text", "f") })}}, "", ""},
		"11 fields":            {[]any{m{"type": "section", "fields": many(11, func(int) any { return text("plain_text", "f") })}}, "invalid_blocks", "[ERROR] no more than 10 items allowed [json-pointer:/blocks/0/fields]"},
		"field 2001":           {[]any{m{"type": "section", "fields": []any{text("mrkdwn", long(2001))}}}, "invalid_blocks", "[ERROR] must be less than 2001 characters [json-pointer:/blocks/0/fields/0/text]"},
		"header 150":           {[]any{m{"type": "header", "text": text("plain_text", long(150))}}, "", ""},
		"header 151":           {[]any{m{"type": "header", "text": text("plain_text", long(151))}}, "invalid_blocks", "[ERROR] must be less than 151 characters [json-pointer:/blocks/0/text/text]"},
		"header of mrkdwn":     {[]any{m{"type": "header", "text": text("mrkdwn", "h")}}, "invalid_blocks", `[ERROR] must be one of the allowed text types: ["plain_text"] [json-pointer:/blocks/0/text]`},
		"context of 11":        {[]any{m{"type": "context", "elements": many(11, func(int) any { return text("mrkdwn", "c") })}}, "invalid_blocks", "[ERROR] no more than 10 items allowed [json-pointer:/blocks/0/elements]"},
		"25 buttons":           {[]any{actions(many(25, func(i int) any { return button(fmt.Sprint(i), "v", "B") })...)}, "", ""},
		"26 buttons":           {[]any{actions(many(26, func(i int) any { return button(fmt.Sprint(i), "v", "B") })...)}, "invalid_blocks", "[ERROR] no more than 25 items allowed [json-pointer:/blocks/0/elements]"},
		"button text 76":       {[]any{actions(button("a", "v", long(76)))}, "invalid_blocks", "[ERROR] must be less than 76 characters [json-pointer:/blocks/0/elements/0/text/text]"},
		"button value 2001":    {[]any{actions(button("a", long(2001), "B"))}, "invalid_blocks", "[ERROR] must be less than 2001 characters [json-pointer:/blocks/0/elements/0/value]"},
		"action id 256":        {[]any{actions(button(long(256), "v", "B"))}, "invalid_blocks", "[ERROR] must be less than 256 characters [json-pointer:/blocks/0/elements/0/action_id]"},
		"action id twice":      {[]any{actions(button("a", "1", "B"), button("a", "2", "B"))}, "invalid_blocks", "[ERROR] `action_id` already exists: a [json-pointer:/blocks/0/elements/1/action_id]"},
		"same action, 2 rows":  {[]any{actions(button("a", "1", "B")), actions(button("a", "2", "B"))}, "", ""},
		"button url 3001":      {[]any{actions(m{"type": "button", "text": text("plain_text", "B"), "url": long(3001)})}, "invalid_blocks", "[ERROR] must be less than 3001 characters [json-pointer:/blocks/0/elements/0/url]"},
		"button style":         {[]any{actions(m{"type": "button", "text": text("plain_text", "B"), "style": "green"})}, "invalid_blocks", `[ERROR] must be one of the allowed values: ["primary" "danger"] [json-pointer:/blocks/0/elements/0/style]`},
		"confirm text 301":     {[]any{actions(m{"type": "button", "text": text("plain_text", "B"), "confirm": m{"title": text("plain_text", "t"), "text": text("plain_text", long(301)), "confirm": text("plain_text", "y"), "deny": text("plain_text", "n")}})}, "invalid_blocks", "[ERROR] must be less than 301 characters [json-pointer:/blocks/0/elements/0/confirm/text/text]"},
		"block id twice":       {[]any{m{"type": "divider", "block_id": "x"}, m{"type": "divider", "block_id": "x"}}, "invalid_blocks", "[ERROR] `block_id` already exists: x [json-pointer:/blocks/1/block_id]"},
		"block id 256":         {[]any{m{"type": "divider", "block_id": long(256)}}, "invalid_blocks", "[ERROR] must be less than 256 characters [json-pointer:/blocks/0/block_id]"},
		"50 blocks":            {many(50, func(int) any { return m{"type": "divider"} }), "", ""},
		"51 blocks":            {many(51, func(int) any { return m{"type": "divider"} }), "invalid_blocks", "[ERROR] no more than 50 items allowed [json-pointer:/blocks]"},
		"13,000 in all":        {many(5, func(int) any { return section(long(2600)) }), "msg_blocks_too_long", ""},
		"12,000 in all":        {many(4, func(int) any { return section(long(3000)) }), "", ""},
		"unknown block":        {[]any{m{"type": "poem"}}, "invalid_blocks", "[ERROR] unsupported type: poem [json-pointer:/blocks/0]"},
		"unknown property":     {[]any{m{"type": "divider", "colour": "red"}}, "invalid_blocks", "[ERROR] invalid additional property: colour [json-pointer:/blocks/0]"},
		"verbatim plain_text":  {[]any{m{"type": "section", "text": m{"type": "plain_text", "text": "a", "verbatim": true}}}, "invalid_blocks", "[ERROR] invalid additional property: verbatim [json-pointer:/blocks/0/text]"},
		"input in actions":     {[]any{actions(m{"type": "plain_text_input", "action_id": "i"})}, "invalid_blocks", "[ERROR] unsupported type: plain_text_input [json-pointer:/blocks/0/elements/0]"},
		"block is no object":   {[]any{"hello"}, "invalid_blocks", "[ERROR] unsupported type:  [json-pointer:/blocks/0]"},
		"button without words": {[]any{actions(m{"type": "button", "action_id": "a"})}, "invalid_blocks", "[ERROR] missing required field: text [json-pointer:/blocks/0/elements/0]"},
	} {
		t.Run(name, func(t *testing.T) {
			b := start(t, nil)
			r := b.call("chat.postMessage", m{"channel": "C0DEPLOYS", "text": "t", "blocks": c.blocks})
			if r.code() != c.code {
				t.Fatalf("error %q, want %q: %v", r.code(), c.code, r.body)
			}
			if posted := len(b.Messages("C0DEPLOYS")); posted != map[bool]int{true: 1, false: 0}[c.code == ""] {
				t.Errorf("%d messages posted", posted)
			}
			if c.message == "" {
				return
			}
			meta, _ := r.body["response_metadata"].(m)
			messages, _ := meta["messages"].([]any)
			if !slices.Contains(messages, any(c.message)) {
				t.Errorf("messages %q lack %q", messages, c.message)
			}
		})
	}
}

func TestLimitsOfMessages(t *testing.T) {
	for name, c := range map[string]struct {
		method string
		in     m
		want   string
	}{
		"post 40,000":      {"chat.postMessage", m{"text": strings.Repeat("x", 40000)}, ""},
		"post 40,001":      {"chat.postMessage", m{"text": strings.Repeat("x", 40001)}, "msg_too_long"},
		"nothing":          {"chat.postMessage", m{}, "no_text"},
		"update 4,001":     {"chat.update", m{"text": strings.Repeat("x", 4001)}, "msg_too_long"},
		"metadata 16 KiB":  {"chat.postMessage", m{"text": "t", "metadata": m{"event_type": "e", "event_payload": m{"x": strings.Repeat("x", 17000)}}}, "metadata_too_large"},
		"metadata no type": {"chat.postMessage", m{"text": "t", "metadata": m{"event_payload": m{}}}, "invalid_metadata_schema"},
		"metadata no JSON": {"chat.postMessage", m{"text": "t", "metadata": "{"}, "invalid_metadata_format"},
		"blocks no JSON":   {"chat.postMessage", m{"text": "t", "blocks": "[{"}, "invalid_blocks_format"},
		"blocks as string": {"chat.postMessage", m{"text": "t", "blocks": `[{"type":"divider"}]`}, ""},
		"unknown ts":       {"chat.update", m{"text": "t", "ts": "1.000000"}, "message_not_found"},
		"unknown channel":  {"chat.postMessage", m{"text": "t", "channel": "C0NOWHERE"}, "channel_not_found"},
		"hidden channel":   {"chat.postMessage", m{"text": "t", "channel": "C0SECRET"}, "channel_not_found"},
		"archived channel": {"chat.postMessage", m{"text": "t", "channel": "C0OLD"}, "is_archived"},
		"unknown method":   {"chat.shout", m{"text": "t"}, "unknown_method"},
		"deactivated":      {"chat.postMessage", m{"text": "t", "channel": "U0FRANK"}, "channel_not_found"},
		"by channel name":  {"chat.postMessage", m{"text": "t", "channel": "#deploys"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			b := start(t, nil)
			ts := b.must("chat.postMessage", deployment("req_1")).str("ts")
			in := m{"channel": "C0DEPLOYS", "ts": ts}
			for k, v := range c.in {
				in[k] = v
			}
			if got := b.call(c.method, in).code(); got != c.want {
				t.Errorf("error %q, want %q", got, c.want)
			}
		})
	}
}

func modal(change m) m {
	v := m{"type": "modal", "callback_id": "reason", "title": text("plain_text", "Deny request"), "submit": text("plain_text", "Deny"), "close": text("plain_text", "Cancel"),
		"private_metadata": "{}", "blocks": []any{m{"type": "input", "block_id": "reason", "label": text("plain_text", "Reason"),
			"element": m{"type": "plain_text_input", "action_id": "reason", "multiline": true, "max_length": 100}}}}
	for k, x := range change {
		v[k] = x
	}
	return v
}

func TestLimitsOfViews(t *testing.T) {
	for name, c := range map[string]struct {
		change m
		want   string // json pointer; empty: opens
	}{
		"as it is":              {nil, ""},
		"title 24":              {m{"title": text("plain_text", strings.Repeat("t", 24))}, ""},
		"title 25":              {m{"title": text("plain_text", strings.Repeat("t", 25))}, "/view/title/text"},
		"submit 25":             {m{"submit": text("plain_text", strings.Repeat("t", 25))}, "/view/submit/text"},
		"private_metadata 3001": {m{"private_metadata": strings.Repeat("x", 3001)}, "/view/private_metadata"},
		"callback_id 256":       {m{"callback_id": strings.Repeat("x", 256)}, "/view/callback_id"},
		"101 blocks":            {m{"blocks": many(101, func(int) any { return m{"type": "divider"} })}, "/view/blocks"},
		"100 blocks":            {m{"blocks": many(100, func(int) any { return m{"type": "divider"} })}, ""},
		"max_length 3001":       {m{"blocks": []any{m{"type": "input", "label": text("plain_text", "l"), "element": m{"type": "plain_text_input", "max_length": 3001}}}}, "/view/blocks/0/element/max_length"},
		"input without submit":  {m{"submit": nil}, "/view"},
		"home":                  {m{"type": "home"}, "/view/type"},
	} {
		t.Run(name, func(t *testing.T) {
			b := start(t, nil)
			b.must("chat.postMessage", deployment("req_1"))
			if _, err := b.Click(t.Context(), slackbox.Click{User: "U0BOB", ActionID: "deny"}); err != nil {
				t.Fatal(err)
			}
			r := b.call("views.open", m{"trigger_id": b.payload()["trigger_id"], "view": modal(c.change)})
			if c.want == "" {
				if r.code() != "" {
					t.Fatal(r.body)
				}
				if _, open := b.Modal("U0BOB"); !open {
					t.Fatal("no modal is open")
				}
				return
			}
			if r.code() != "invalid_arguments" || !strings.Contains(fmt.Sprint(r.body["response_metadata"]), c.want+"]") {
				t.Errorf("%v, want invalid_arguments at %s", r.body, c.want)
			}
		})
	}
}
