package slackbox

import (
	"context"
	"fmt"
	"strings"
)

// Command is a slash command of the app.
type Command struct {
	Name        string `json:"command"` // with its slash
	Hint        string `json:"usage_hint"`
	Description string `json:"description"`
}

// Typed is a person typing a slash command.
type Typed struct {
	User    string `json:"user"`
	Channel string `json:"channel"`
	Text    string `json:"text"` // all of it: /gatekeeper pending
	Forge   *Forge `json:"forge"`
}

// Command sends a slash command and shows what the app answers, privately
// unless it says in_channel. An error means that Slack has no such command:
// the app has none of this name, or lacks the scope "commands".
func (w *Workspace) Command(ctx context.Context, t Typed) (Delivery, error) {
	name, text, _ := strings.Cut(t.Text, " ")
	w.mu.Lock()
	u, isUser := w.user(t.User)
	in, isChannel := w.channel(t.Channel)
	_, isCommand := get(w.commands, func(c Command) bool { return c.Name == name && w.granted("commands") })
	if !isUser || !isChannel || !isCommand {
		w.mu.Unlock()
		return Delivery{}, fmt.Errorf("slackbox: %q is not a command that %q can give in %q", name, t.User, t.Channel)
	}
	p, answers := w.commandForm(u, in, name, strings.TrimSpace(text))
	target := w.o.CommandsURL
	w.mu.Unlock()
	d := w.deliver(ctx, outgoing{kind: "slash_commands", envelope: "slash_commands", url: target, payload: p, encode: asForm, forge: t.Forge})
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answered(name, answers, d)
	return d, nil
}

// commandForm is what Slack posts (docs.slack.dev/interactivity/implementing-slash-commands).
func (w *Workspace) commandForm(u User, in Channel, name, text string) (map[string]any, responseURL) {
	channel := in.Name
	switch {
	case in.IM != "":
		channel = "directmessage"
	case in.Private:
		channel = "privategroup"
	}
	answers := responseURL{channel: in.ID, user: u.ID}
	return map[string]any{"token": "deprecated0verification0", "team_id": u.team(), "team_domain": TeamDomain, "channel_id": in.ID, "channel_name": channel,
		"user_id": u.ID, "user_name": u.Name, "command": name, "text": text, "api_app_id": AppID, "is_enterprise_install": "false",
		"response_url": w.newResponseURL(answers), "trigger_id": w.newTrigger(u.ID, "")}, answers
}

// answered shows the acknowledgement's own answer, or that there was none. It
// needs w.mu.
func (w *Workspace) answered(name string, to responseURL, d Delivery) {
	trouble := ""
	switch {
	case d.Error == errNoURL || d.Status != 0 && !d.Acked():
		trouble = errFailed
	case !d.Acked():
		trouble = d.Error
	case strings.TrimSpace(d.Response) == "" || strings.TrimSpace(d.Response) == "{}":
		return
	default:
		if f := w.answerWith(to, readAnswer(d.Response)); f != nil {
			trouble = f.code
		}
	}
	if trouble != "" {
		w.notices = append(w.notices, Notice{User: to.user, Channel: to.channel, At: w.o.Clock(), Text: name + " failed with the error “" + trouble + "”"})
	}
	w.touch()
}
