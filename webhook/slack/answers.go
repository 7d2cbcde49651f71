package slack

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	slackgo "github.com/slack-go/slack"
)

// eventNote is the metadata event type of what we write beside requests: its
// payload is {"note": "KIND KEY"} of the card.
const eventNote = "gatekeeper_note"

func noteMetadata(kind, key string) slackgo.SlackMetadata {
	return slackgo.SlackMetadata{EventType: eventNote, EventPayload: map[string]any{"note": kind + " " + key}}
}

// answers are the thread's cards about a request's redemptions: one for each
// job, brought up to date as its credentials are handed out.
func (s *Slack) answers(r gatekeeper.Request, f reference) []card {
	var jobs []string
	for _, d := range r.Redemptions {
		if d.State != gatekeeper.RedemptionIntended && !slices.Contains(jobs, d.Job) {
			jobs = append(jobs, d.Job)
		}
	}
	var cards []card
	for _, job := range jobs[:min(len(jobs), maxAnswers)] {
		key := r.ID + "/" + job
		cards = append(cards, card{
			kind: gatekeeper.WorkThread, key: key, channel: f.Channel, thread: f.root(), since: r.CreatedAt,
			render: func(bool) Message {
				return answerMessage(r, job, f.Digest != "", noteMetadata(gatekeeper.WorkThread, key))
			},
		})
	}
	return cards
}

// maxAnswers bounds a matrix of jobs; the request's own message counts on.
const maxAnswers = 20

// results are how a redemption's end is told.
var results = map[gatekeeper.RedemptionState]string{
	gatekeeper.RedemptionSucceeded: "🔑 Credentials taken", gatekeeper.RedemptionFailed: "❌ The cloud refused credentials",
	gatekeeper.RedemptionUnknown: "❓ Credentials may have been taken, the result is unknown (see the ledger)",
}

// answerMessage tells what one job did with the approval.
func answerMessage(r gatekeeper.Request, job string, named bool, m slackgo.SlackMetadata) Message {
	var told, plain []string
	for _, d := range latest(r, job) {
		what := results[d.State] + ": " + escape(line(d.Credential, 60))
		if d.State == gatekeeper.RedemptionFailed && d.Detail != "" {
			what += " (" + escape(line(d.Detail, 120)) + ")"
		}
		told, plain = append(told, what+", "+date(d.At)), append(plain, what)
	}
	by := "job " + escape(line(strings.TrimPrefix(job, "job:"), 60))
	told = append(told, "by "+by+" of "+runLink(r.Workload))
	return Message{
		Text: fit(plain, 1500) + " by " + by + ", " + escape(target(r)), Metadata: m,
		Blocks: append(ofDigest(r, named), section(markup(fit(told, 2500)))),
	}
}

// latest is the newest attempt of a job for each credential that has ended.
func latest(r gatekeeper.Request, job string) []gatekeeper.Redemption {
	var list []gatekeeper.Redemption
	for _, d := range r.Redemptions {
		if d.Job != job || d.State == gatekeeper.RedemptionIntended {
			continue
		}
		same := func(had gatekeeper.Redemption) bool { return had.Credential == d.Credential }
		if i := slices.IndexFunc(list, same); i >= 0 {
			list[i] = d
		} else {
			list = append(list, d)
		}
	}
	return list
}

// ofDigest says which request an answer is about where the message that it
// answers shows several.
func ofDigest(r gatekeeper.Request, named bool) []slackgo.Block {
	if !named {
		return nil
	}
	return []slackgo.Block{section(words(target(r)))}
}

// target is the repository and the environment on one line.
func target(r gatekeeper.Request) string {
	return line(r.Workload.Repository, 100) + " → " + shownEnvironment(r)
}

func shownEnvironment(r gatekeeper.Request) string {
	if where := exact(r.Environment); width(where) <= 300 {
		return where
	}
	return "an environment with a very long name"
}

// settled takes back what was asked for once nobody is needed any more: what
// pinged people says so, and the thread tells those who were pinged. A newer
// run or a canceled job is no news to them.
func (s *Slack) settled(ctx context.Context, r gatekeeper.Request, f reference) error {
	if r.State == gatekeeper.Pending {
		return nil
	}
	pinged := false
	for _, c := range s.pings(ctx, r, f) {
		at, err := s.stands(ctx, c)
		if err != nil {
			return err
		}
		if !at.posted() {
			continue
		}
		pinged = true
		if _, err := s.ensure(ctx, c); err != nil {
			return err
		}
	}
	if !pinged || r.State == gatekeeper.Superseded || r.State == gatekeeper.Canceled {
		return nil
	}
	key := r.ID + "/settled"
	_, err := s.ensure(ctx, card{
		kind: gatekeeper.WorkThread, key: key, channel: f.Channel, thread: f.root(), since: r.CreatedAt,
		render: func(bool) Message {
			text := fmt.Sprintf("%s. Nobody is needed any more.", settledBy(r))
			return Message{Text: text, Metadata: noteMetadata(gatekeeper.WorkThread, key), Blocks: append(ofDigest(r, f.Digest != ""), section(markup(text)))}
		},
	})
	return err
}

// settledBy says how a request ended and by whom, for reading.
func settledBy(r gatekeeper.Request) string {
	switch r.State {
	case gatekeeper.Approved:
		return "Approved by " + approvers(r)
	case gatekeeper.Denied, gatekeeper.Revoked:
		by := "somebody"
		if d := r.DeniedBy(); d != nil {
			by = mention(d.Person.Slack, d.Person.Name)
		}
		return strings.ToUpper(string(r.State)[:1]) + string(r.State)[1:] + " by " + by
	case gatekeeper.Expired:
		return "Expired"
	}
	return "Over: " + escape(string(r.State))
}
