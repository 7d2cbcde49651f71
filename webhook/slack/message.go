package slack

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	slackgo "github.com/slack-go/slack"
)

// EventType is the metadata event type of a request's message; its payload is
// {"request_id": …}. A message is found again by it after a crash.
const EventType = "gatekeeper_request"

// The action ids of a message's buttons. Any other one is refused.
const (
	actionApprove       = "gatekeeper_approve"
	actionApproveReason = "gatekeeper_approve_reason" // asks for a reason first
	actionDeny          = "gatekeeper_deny"
	actionRevoke        = "gatekeeper_revoke"
	actionBreakGlass    = "gatekeeper_break_glass" // asks for a reason first
	actionApproveAll    = "gatekeeper_approve_all" // its value is a digest's id
	actionDetails       = "gatekeeper_details"     // a link; Slack tells of its clicks too
)

// Message is what Slack is told to show.
type Message struct {
	Text     string // for notifications and screen readers
	Blocks   []slackgo.Block
	Metadata slackgo.SlackMetadata
}

// View is what a message shows beside its request. The zero View works.
type View struct {
	PublicURL string    // of the gatekeeper; empty: no Details link
	Context   *Context  // nil: only what the token tells
	Now       time.Time // an approval that lapsed before it says so; zero: none did
	Short     bool      // leave out what can be read on the page, for Slack's limits
	People    gatekeeper.People
	Names     map[gatekeeper.Approver]string // of approvers, for reading; those without one are shown by id
}

// Render is the message of a request as it is now: the same request and view
// give the same message, so what is shown can be compared with what should be.
func Render(r gatekeeper.Request, v View) Message {
	blocks := []slackgo.Block{slackgo.NewHeaderBlock(words(header(r)))}
	blocks = append(blocks, outcome(r, v)...)
	blocks = append(blocks, why(r, v)...)
	blocks = append(blocks, table(facts(r, v))...)
	if v.Context != nil && !v.Short {
		blocks = append(blocks, v.Context.blocks()...)
	}
	blocks = append(blocks, votes(r, v)...)
	blocks = append(blocks, footer(r))
	if buttons := buttons(r, v); len(buttons) > 0 {
		blocks = append(blocks, slackgo.NewActionBlock("gatekeeper_actions", buttons...))
	}
	return Message{Text: fallback(r), Blocks: blocks, Metadata: metadata(r)}
}

func metadata(r gatekeeper.Request) slackgo.SlackMetadata {
	return slackgo.SlackMetadata{EventType: EventType, EventPayload: map[string]any{"request_id": r.ID}}
}

// fingerprint tells messages apart by what they show.
func (m Message) fingerprint() string {
	body, err := json.Marshal(m)
	if err != nil {
		return "" // shown nowhere: it is sent again
	}
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

// options are the message for the SDK. Links are not unfurled: a preview of a
// page that a stranger chose would stand beside our buttons.
func (m Message) options() []slackgo.MsgOption {
	return []slackgo.MsgOption{
		slackgo.MsgOptionText(m.Text, false), slackgo.MsgOptionBlocks(m.Blocks...), slackgo.MsgOptionMetadata(m.Metadata),
		slackgo.MsgOptionParse(false), slackgo.MsgOptionLinkNames(false),
		slackgo.MsgOptionDisableLinkUnfurl(), slackgo.MsgOptionDisableMediaUnfurl(),
	}
}

// titles are how each state is told.
var titles = map[gatekeeper.State]string{
	gatekeeper.Pending: "Approval needed", gatekeeper.Approved: "✅ Approved", gatekeeper.Denied: "⛔ Denied",
	gatekeeper.Expired: "⌛ Expired", gatekeeper.Canceled: "🚫 Canceled", gatekeeper.Superseded: "⏭️ Superseded",
	gatekeeper.Revoked: "↩️ Revoked",
}

func title(r gatekeeper.Request) string {
	if r.BrokenGlass && r.State == gatekeeper.Approved {
		return "🚨 Approved by break glass"
	}
	if t, ok := titles[r.State]; ok {
		return t
	}
	return "Unknown state"
}

// header is what one sees on a locked phone. The repository gives way, the
// environment never does.
func header(r gatekeeper.Request) string {
	where := exact(r.Environment)
	room := maxHeader - width(title(r)+": "+" → "+where)
	if room < 8 {
		return title(r)
	}
	return title(r) + ": " + line(r.Workload.Repository, min(room/2, 60)) + " → " + where
}

// fullHeader is what the header would be with room for everything.
func fullHeader(r gatekeeper.Request) string {
	return title(r) + ": " + line(r.Workload.Repository, maxField) + " → " + exact(r.Environment)
}

// tooLong says whether the environment's name cannot be shown whole. Nobody
// should approve what they cannot read.
func tooLong(r gatekeeper.Request) bool { return width(exact(r.Environment)) > maxField }

func fallback(r gatekeeper.Request) string {
	where := escape(exact(r.Environment))
	if width(where) > 2000 {
		where = "an environment with a very long name"
	}
	parts := []string{title(r) + ": " + escape(line(r.Workload.Repository, 100)) + " → " + where}
	if sha := short(r.Workload.SHA); sha != "" {
		parts = append(parts, escape(line(r.Workload.Ref, 80))+" at "+escape(line(sha, 70)))
	}
	if names := names(r); names != "" {
		parts = append(parts, names)
	} else if r.Workload.Actor != "" {
		parts = append(parts, "started by "+escape(line(r.Workload.Actor, 60)))
	}
	return strings.Join(parts, ", ")
}

// names are the deciding people by name, for those who hear the message read.
func names(r gatekeeper.Request) string {
	if by := r.DeniedBy(); by != nil && r.State != gatekeeper.Pending && r.State != gatekeeper.Approved {
		return "by " + escape(line(nameOf(by.Person), 60))
	}
	var all []string
	for _, v := range r.ApprovedBy() {
		all = append(all, escape(line(nameOf(v.Person), 60)))
	}
	if len(all) == 0 {
		return ""
	}
	return "approved by " + strings.Join(all[:min(len(all), maxPeople)], ", ")
}

func nameOf(p gatekeeper.Person) string {
	if p.Name != "" {
		return p.Name
	}
	return p.Slack
}

// short is a commit's usual short form; what is no commit id stays whole.
func short(sha string) string {
	if commitSHA.MatchString(sha) {
		return sha[:7]
	}
	return sha
}
