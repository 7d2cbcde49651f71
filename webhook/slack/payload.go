package slack

import (
	"encoding/json"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// payload is what is read of an interaction. Slack sends much more and adds
// to it, so unknown fields are no fault; what is read is checked.
type payload struct {
	Type       string      `json:"type"`
	AppID      string      `json:"api_app_id"`
	TriggerID  string      `json:"trigger_id"`
	Team       *place      `json:"team"` // null for organisation-wide installs
	Enterprise *place      `json:"enterprise"`
	User       clicker     `json:"user"`
	Channel    place       `json:"channel"`
	Message    stamped     `json:"message"`
	Container  container   `json:"container"`
	Actions    []action    `json:"actions"`
	View       viewPayload `json:"view"`
}

type place struct {
	ID string `json:"id"`
}

type clicker struct {
	ID       string `json:"id"`
	TeamID   string `json:"team_id"`
	Name     string `json:"name"`
	Username string `json:"username"`
}

type stamped struct {
	TS string `json:"ts"`
}

type container struct {
	Type      string `json:"type"` // message or view
	ChannelID string `json:"channel_id"`
	MessageTS string `json:"message_ts"`
	ViewID    string `json:"view_id"`
	Ephemeral bool   `json:"is_ephemeral"`
}

type action struct {
	ID    string `json:"action_id"`
	Block string `json:"block_id"`
	Value string `json:"value"`
	TS    string `json:"action_ts"`
}

type viewPayload struct {
	ID         string `json:"id"`
	Type       string `json:"type"` // modal or home
	CallbackID string `json:"callback_id"`
	Metadata   string `json:"private_metadata"`
	State      struct {
		Values map[string]map[string]struct {
			Value string `json:"value"`
		} `json:"values"`
	} `json:"state"`
}

// The types of interaction that our messages and modals can cause.
const (
	typeActions = "block_actions"
	typeSubmit  = "view_submission"
)

// parsePayload reads an interaction and checks all of it that every kind has.
func parsePayload(raw []byte, appID string) (payload, error) {
	var p payload
	if err := json.Unmarshal(raw, &p); err != nil {
		return p, bad("payload is no JSON object as Slack sends it")
	}
	if appID != "" && p.AppID != appID {
		return p, bad("payload is for another app than slack.app_id")
	}
	if !userID.MatchString(p.User.ID) {
		return p, bad("payload names no user by an id (U… or W…)")
	}
	if !teamID.MatchString(p.home()) {
		return p, bad("payload names no team by an id (T… or E…)")
	}
	return p, nil
}

func bad(what string) error { return gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, "%s", what) }

// home is where the person belongs: their own team where Slack tells it, as
// for strangers in shared channels, else the one the click came from.
func (p payload) home() string {
	switch {
	case p.User.TeamID != "":
		return p.User.TeamID
	case p.Team != nil && p.Team.ID != "":
		return p.Team.ID
	case p.Enterprise != nil:
		return p.Enterprise.ID
	}
	return ""
}

// foreign is the first team in the payload that is not want, "" when all are.
// It catches a click from another workspace by somebody of ours, too.
func (p payload) foreign(want string) string {
	if p.Team != nil && p.Team.ID != want && (p.Enterprise == nil || p.Enterprise.ID != want) {
		return p.Team.ID
	}
	return ""
}

// where is the message that was clicked on. The two places in which Slack
// tells it have to agree.
func (p payload) where() (channel, ts string, err error) {
	channel, ts = p.Channel.ID, p.Message.TS
	if channel == "" {
		channel = p.Container.ChannelID
	}
	if ts == "" {
		ts = p.Container.MessageTS
	}
	differs := p.Container.ChannelID != "" && p.Container.ChannelID != channel || p.Container.MessageTS != "" && p.Container.MessageTS != ts
	if differs || !placeID.MatchString(channel) || !messageTS.MatchString(ts) {
		return "", "", bad("payload does not say which message was clicked on")
	}
	return channel, ts, nil
}

func (p payload) person(team string) gatekeeper.Person {
	name := p.User.Name
	if name == "" {
		name = p.User.Username
	}
	if other := p.foreign(team); team != "" && other != "" {
		return gatekeeper.Person{Slack: p.User.ID, Team: other, Name: line(name, 80)}
	}
	return gatekeeper.Person{Slack: p.User.ID, Team: p.home(), Name: line(name, 80)}
}
