package slack

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/slackbox"
)

// typing types a command and gives the private answer.
func typing(t *testing.T, box *slackbox.Workspace, user, channel, text string) slackbox.Message {
	t.Helper()
	before := len(box.Messages(""))
	d, err := box.Command(t.Context(), slackbox.Typed{User: user, Channel: channel, Text: text})
	if err != nil || !d.Acked() {
		t.Fatalf("%s: %+v %v", text, d, err)
	}
	all := box.Messages("")
	if len(all) != before+1 || all[before].Ephemeral != user {
		t.Fatalf("%s: %d messages, and what is said is %+v, %+v", text, len(all)-before, all[len(all)-1], box.Notices())
	}
	return all[before]
}

func said(m slackbox.Message) string { return m.Text + "\n" + m.Words() }

func TestCommandsByEachWay(t *testing.T) {
	everyWay(t, func(t *testing.T, b *bench, box *slackbox.Workspace) {
		b.open("req_1", func(r *gatekeeper.Request) { r.Rule.Approval.Groups[0].Quorum = 2 })
		m := typing(t, box, "U0BOB", "C0PAYMENTS", "/gatekeeper pending")
		if !strings.Contains(said(m), "1 request waits for you") || !strings.Contains(said(m), "acme/payments → production") {
			t.Errorf("Bob sees %q", said(m))
		}
		d, err := box.Click(t.Context(), slackbox.Click{User: "U0BOB", TS: m.TS, ActionID: actionApprove})
		if err != nil || !d.Acked() {
			t.Fatalf("%+v %v", d, err)
		}
		b.settle(2)
		if votes := b.gate.requests["req_1"].Votes; len(votes) != 1 || votes[0].Via != "slack.command" || !strings.Contains(whispered(box, "U0BOB"), "Your vote counts") {
			t.Errorf("%+v, told %q: %s", votes, whispered(box, "U0BOB"), b.log)
		}
		if m := typing(t, box, "U0BOB", "C0PAYMENTS", "/gatekeeper PENDING "); !strings.Contains(said(m), "No requests wait for you") || !strings.Contains(said(m), "you approved; 1 more approval is needed") {
			t.Errorf("afterwards Bob sees %q", said(m))
		}
		for _, text := range []string{"show req_1", "show `req_1`", "show https://gatekeeper.example.com/requests/req_1"} {
			m := typing(t, box, "U0CAROL", "C0RANDOM", "/gatekeeper "+text)
			if !strings.Contains(said(m), "Fix the rounding of refunds") || len(m.Buttons()) != 3 {
				t.Errorf("%s: Carol sees %q with %d buttons", text, said(m), len(m.Buttons()))
			}
		}
		m = typing(t, box, "U0EVE", "C0DEPLOYS", "/gatekeeper show req_1")
		if !strings.Contains(said(m), "not among the approvers") || len(m.Buttons()) != 1 {
			t.Errorf("Eve sees %q with %d buttons", said(m), len(m.Buttons()))
		}
		for _, text := range []string{"", " help", " show", " show me", " approve req_1", " show req_1 req_2"} {
			if m := typing(t, box, "U0BOB", "C0DEPLOYS", "/gatekeeper"+text); !strings.Contains(said(m), "/gatekeeper show REQ") || !strings.Contains(said(m), "No requests wait") {
				t.Errorf("%q: %q", text, said(m))
			}
		}
		if m := typing(t, box, "U0BOB", "C0DEPLOYS", "/gatekeeper show req_nosuch"); !strings.Contains(said(m), "There is no request req_nosuch") {
			t.Errorf("%q", said(m))
		}
	})
}

// Others' requests are named in the channel where they were asked, and only
// counted elsewhere: that channel may be private.
func TestPendingTellsNoSecrets(t *testing.T) {
	everyWay(t, func(t *testing.T, b *bench, box *slackbox.Workspace) {
		b.open("req_1", func(r *gatekeeper.Request) { r.Rule.Notify.Channel = "C0SECURITY" })
		if m := typing(t, box, "U0EVE", "C0RANDOM", "/gatekeeper pending"); strings.Contains(said(m), "acme/payments") || !strings.Contains(said(m), "1 request waits for other people elsewhere") {
			t.Errorf("in #random Eve sees %q", said(m))
		}
		if m := typing(t, box, "U0EVE", "C0SECURITY", "/gatekeeper pending"); !strings.Contains(said(m), "acme/payments → production") || len(m.Buttons()) != 0 {
			t.Errorf("in the request's channel Eve sees %q", said(m))
		}
	})
}

// Threats rows 23 and 25: commands have the same door as clicks.
func TestCommandsOfWhoMayNotDecide(t *testing.T) {
	everyWay(t, func(t *testing.T, b *bench, box *slackbox.Workspace) {
		b.open("req_1")
		for user, why := range map[string]string{"U0DAVE": "guests", "U0MALLORY": "another workspace", "U0FRANK": "deactivated", "U0ROBOT": "bots"} {
			for _, text := range []string{"pending", "show req_1", "show req_nosuch", "help", ""} {
				m := typing(t, box, user, "C0DEPLOYS", "/gatekeeper "+text)
				if !strings.Contains(said(m), why) || strings.Contains(said(m), "acme/payments") || len(m.Blocks) > 0 {
					t.Errorf("%s %s: %q", user, text, said(m))
				}
			}
		}
		// A member of ours in another workspace's channel is no member there.
		d, err := box.Command(t.Context(), slackbox.Typed{User: "U0BOB", Channel: "C0DEPLOYS", Text: "/gatekeeper pending", Forge: &slackbox.Forge{Payload: map[string]any{"team_id": "T0EVIL"}}})
		if err != nil || !d.Acked() || !strings.Contains(d.Response, "another workspace") {
			t.Errorf("%+v %v", d, err)
		}
	})
}

func TestCommandsWhileSlackIsDown(t *testing.T) {
	everyWay(t, func(t *testing.T, b *bench, box *slackbox.Workspace) {
		b.open("req_1")
		box.Fail(slackbox.Fault{Method: "users.info", Status: 500, Times: -1})
		for _, text := range []string{"pending", "show req_1"} {
			if m := typing(t, box, "U0BOB", "C0DEPLOYS", "/gatekeeper "+text); !strings.Contains(said(m), "cannot be looked up right now") {
				t.Errorf("%s: %q", text, said(m))
			}
		}
		if m := typing(t, box, "U0BOB", "C0DEPLOYS", "/gatekeeper help"); !strings.Contains(said(m), "/gatekeeper show REQ") {
			t.Errorf("help needs nobody: %q", said(m))
		}
	})
}

// Threats row 26: a private answer's button is good for its person and its
// request.
func TestButtonsOfAnswersAreSealed(t *testing.T) {
	b, box := ways["http"](t, slackbox.Options{})
	b.open("req_1")
	b.open("req_2")
	m := typing(t, box, "U0BOB", "C0DEPLOYS", "/gatekeeper show req_1")
	block := m.Blocks[len(m.Blocks)-1]["block_id"].(string)
	for name, forged := range map[string]map[string]any{
		"another request": {"actions": map[string]any{"value": "req_2"}},
		"another person":  {"user": map[string]any{"id": "U0CAROL"}},
		"no seal":         {"actions": map[string]any{"block_id": "gatekeeper_actions"}},
		"another door":    {"container": map[string]any{"type": "view", "view_id": "V1", "is_ephemeral": nil}, "view": map[string]any{"id": "V1", "type": "home"}},
	} {
		d, err := box.Click(t.Context(), slackbox.Click{User: "U0BOB", TS: m.TS, ActionID: actionApprove, Forge: &slackbox.Forge{Payload: forged}})
		if err != nil || !d.Acked() {
			t.Fatalf("%s: %+v %v", name, d, err)
		}
		b.settle(2)
	}
	if b.gate.votes != 0 {
		t.Errorf("%d votes of forged buttons reached the gate", b.gate.votes)
	}
	refused := 0
	for _, e := range b.mem.events {
		if e.Type == gatekeeper.EventVoteRefused && strings.Contains(e.Data["refused"].(string), "not offered") {
			refused++
		}
	}
	if refused != 4 || !strings.Contains(whispered(box, "U0BOB"), "not offered to you") {
		t.Errorf("%d of 4 are in the ledger; told %q", refused, whispered(box, "U0BOB"))
	}
	if !strings.HasPrefix(block, sealed) || strings.Contains(block, "req_1") {
		t.Errorf("the seal is %q", block)
	}
}

// Naughty texts come out as text, and however many wait, the answer is one
// that a socket and Slack take (threats rows 28 and 29).
func TestAnswersAreEscapedAndFit(t *testing.T) {
	everyWay(t, func(t *testing.T, b *bench, box *slackbox.Workspace) {
		for i, s := range naughty() {
			r, _ := haunted(s)
			if strings.TrimSpace(r.Environment) == "" {
				continue
			}
			r.ID, r.State, r.Votes, r.CreatedAt, r.ExpiresAt = "req_"+strings.Repeat("x", i+1), gatekeeper.Pending, nil, b.now, b.now.Add(time.Hour)
			r.Rule.Approval.Groups = pending("req_0").Rule.Approval.Groups
			r.Initiators = pending("req_0").Initiators
			b.gate.put(r)
		}
		for _, text := range []string{"pending", "show req_x", "show req_xx", "show req_xxx"} {
			m := typing(t, box, "U0BOB", "C0DEPLOYS", "/gatekeeper "+text)
			body, err := json.Marshal(m.Blocks)
			if err != nil || len(m.Blocks) == 0 {
				t.Errorf("%s: %v", text, err)
			}
			for _, bad := range []string{"<!channel>", "<!here>", "<@U0ADMIN>", "<https://evil"} {
				for _, block := range m.Blocks {
					if mrkdwn(block, bad) {
						t.Errorf("%s: %s is live in %s", text, bad, body)
					}
				}
			}
		}
	})
}

// mrkdwn says whether bad stands in a text that Slack would format.
func mrkdwn(v any, bad string) bool {
	switch v := v.(type) {
	case slackbox.Block:
		return mrkdwn(map[string]any(v), bad)
	case map[string]any:
		if text, _ := v["text"].(string); v["type"] == "mrkdwn" && strings.Contains(text, bad) {
			return true
		}
		for _, inner := range v {
			if mrkdwn(inner, bad) {
				return true
			}
		}
	case []any:
		for _, inner := range v {
			if mrkdwn(inner, bad) {
				return true
			}
		}
	}
	return false
}

// Slack posts to a command's URL by itself to look at its certificate.
func TestCertificateCheck(t *testing.T) {
	b := newBench(t)
	w := httptest.NewRecorder()
	b.Commands().ServeHTTP(w, callback(b.now, testSecret, "ssl_check=1&token=x"))
	if w.Code != http.StatusOK || w.Body.Len() != 0 {
		t.Errorf("answered %d %s", w.Code, w.Body)
	}
}

func FuzzCommand(f *testing.F) {
	f.Add("T0ACME", "U0BOB", "C0DEPLOYS", "/gatekeeper", "show req_1")
	f.Add("", "W1", "D1", "/gatekeeper", "pending <!channel>")
	f.Fuzz(func(t *testing.T, team, user, channel, command, text string) {
		raw, err := json.Marshal(map[string]string{"team_id": team, "user_id": user, "channel_id": channel, "command": command, "text": text})
		if err != nil {
			t.Skip()
		}
		if id := namedRequest(text); id != "" && !requestID.MatchString(id) {
			t.Errorf("%q names %q", text, id)
		}
		c, err := parseCommand(raw, "")
		if err == nil && c.SSLCheck == "" && (!userID.MatchString(c.User) || !teamID.MatchString(c.Team) || !placeID.MatchString(c.Channel)) {
			t.Errorf("read %+v of %s", c, raw)
		}
	})
}
