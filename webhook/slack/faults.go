package slack

import (
	"context"
	"errors"
	"net"
	"strings"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	slackgo "github.com/slack-go/slack"
)

// later is when to try again what only a person can put right. Short enough
// that a repaired set-up is seen to work.
const later = time.Minute

// advice is what the operator can do, by Slack's error code. %s is the
// channel.
func advice(code string) string {
	switch code {
	case "channel_not_found":
		return "Slack shows the app no channel %s: check the rule's notify.channel (or slack.channel), and invite the app there if it is private"
	case "not_in_channel":
		return "the app is not in channel %s: invite it there with /invite"
	case "is_archived":
		return "channel %s is archived: name another one in the rule's notify.channel"
	case "restricted_action", "restricted_action_read_only_channel", "restricted_action_thread_only_channel":
		return "channel %s does not let the app post: change its posting permissions"
	case "invalid_auth", "not_authed", "token_revoked", "token_expired", "account_inactive":
		return "Slack does not accept the bot token (%s): install the app again and set slack.bot_token to its new token"
	case "missing_scope":
		return "the bot token lacks a scope for %s: install the app again with the manifest that `gatekeeper slack manifest` prints"
	case "user_not_found", "user_disabled", "user_not_visible", "cannot_dm_bot":
		return "Slack delivers no direct message to %s"
	case "msg_too_long", "msg_blocks_too_long", "invalid_blocks", "invalid_blocks_format":
		return "Slack refuses the message for %s as too long or malformed"
	case "no_such_subteam", "subteam_not_found":
		return "Slack knows no user group %s: check the rule's approvers"
	case "team_access_not_granted", "org_login_required", "ekm_access_denied", "access_denied", "no_permission":
		return "the workspace's administrators do not let the app do this (%s)"
	}
	return ""
}

// fault turns what the SDK returned into an error for the work queue and the
// log: what is wrong in words, when to try again, and no secret. subject is
// the channel or whatever else the call was about.
func (o Options) fault(err error, method, subject string) *gatekeeper.Error {
	if err == nil {
		return nil
	}
	f := &gatekeeper.Error{Code: gatekeeper.CodeUnavailable, Err: answered{slackCode(err), o.scrub(err.Error())}}
	if subject == "" {
		subject = method
	}
	if d, ok := limited(err); ok {
		f.Code, f.RetryAfter = gatekeeper.CodeSlowDown, d
		f.Description = "Slack asks us to slow down (" + method + ")"
		return f
	}
	code := slackCode(err)
	if text := advice(code); text != "" {
		f.RetryAfter = later
		f.Description = strings.Replace(text, "%s", subject, 1) + " (" + method + ": " + code + ")"
		return f
	}
	f.Description = o.scrub(method + " failed for " + subject + ": " + plainly(err, code))
	return f
}

func plainly(err error, code string) string {
	var status slackgo.StatusCodeError
	var network net.Error
	switch {
	case code != "":
		return "Slack answered " + line(code, 60)
	case errors.As(err, &status):
		return "Slack answered HTTP " + line(status.Status, 60)
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return "Slack did not answer in time"
	}
	return "Slack cannot be reached, or answered something else than the API"
}

// answered is what Slack said, without our secrets.
type answered struct{ code, text string }

func (a answered) Error() string { return a.text }

// slackCode is the error code that Slack answered, "" where it did not.
func slackCode(err error) string {
	var kept answered
	if errors.As(err, &kept) {
		return kept.code
	}
	var answer slackgo.SlackErrorResponse
	if errors.As(err, &answer) {
		return answer.Err
	}
	return ""
}

// limited says whether Slack asks to come back later, and when. It does so by
// 429 and, in some methods, by a code.
func limited(err error) (time.Duration, bool) {
	var limit *slackgo.RateLimitedError
	if errors.As(err, &limit) {
		return min(max(limit.RetryAfter, time.Second), 10*time.Minute), true
	}
	var status slackgo.StatusCodeError
	if errors.As(err, &status) && status.Code == 429 || slackCode(err) == "ratelimited" || slackCode(err) == "rate_limited" {
		return 30 * time.Second, true
	}
	return 0, false
}

// refusedWhole says whether Slack certainly did nothing. After anything else
// (a time-out, a broken connection, 5xx, the codes that Slack documents as
// possibly half done) the message may be there.
func refusedWhole(err error) bool {
	if _, ok := limited(err); ok {
		return true
	}
	switch slackCode(err) {
	case "", "fatal_error", "internal_error", "service_unavailable", "request_timeout":
		return false
	}
	return true
}
