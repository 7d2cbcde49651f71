package slack

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// purposes are the bot scopes that the app needs, and no more, with what each
// is for; docs/slack.md says the same.
var purposes = map[string]string{
	"channels:history": "finding a message again after a crash, in public channels,",
	"chat:write":       "asking people, and telling them",
	"commands":         "/gatekeeper",
	"groups:history":   "finding a message again after a crash, in private channels,",
	"im:history":       "finding a direct message again after a crash",
	"im:write":         "telling who asked how it ended",
	"usergroups:read":  "approving as a member of a user group",
	"users:read":       "telling members from guests, bots and strangers",
}

// Scopes are the bot scopes that the app needs.
func Scopes() []string { return slices.Sorted(maps.Keys(purposes)) }

// missing are the needed scopes that are not among those granted.
func missing(granted string) []string {
	have := scopeList(granted)
	return slices.DeleteFunc(Scopes(), func(scope string) bool { return slices.Contains(have, scope) })
}

// beyond are granted scopes that are not needed.
func beyond(granted string) []string {
	return slices.DeleteFunc(scopeList(granted), func(scope string) bool { return purposes[scope] != "" })
}

func scopeList(granted string) []string {
	return strings.FieldsFunc(granted, func(r rune) bool { return r == ',' || r == ' ' })
}

// ManifestOptions say for which gatekeeper a manifest is.
type ManifestOptions struct {
	PublicURL  string // of the gatekeeper; not needed in Socket Mode
	SocketMode bool   // Slack needs to reach nothing
}

// Manifest is the app manifest as JSON with a line break at its end
// (https://docs.slack.dev/reference/app-manifest).
func Manifest(o ManifestOptions) ([]byte, error) {
	o.PublicURL = strings.TrimRight(o.PublicURL, "/")
	if !o.SocketMode && !safeURL(o.PublicURL) {
		return nil, bad("the manifest needs the gatekeeper's public https URL")
	}
	body, err := json.MarshalIndent(o.manifest(), "", "  ")
	if err != nil {
		return nil, err
	}
	return append(body, '\n'), nil
}

// door is a part of the manifest that Slack calls us for. In Socket Mode it
// names no URL.
func (o ManifestOptions) door(key, path string, rest map[string]any) map[string]any {
	if !o.SocketMode {
		rest[key] = o.PublicURL + path
	}
	return rest
}

func (o ManifestOptions) manifest() map[string]any {
	return map[string]any{
		"display_information": map[string]any{
			"name":             "Gatekeeper",
			"description":      "Asks people before a deployment gets its credentials",
			"background_color": "#1d3557",
		},
		"features": map[string]any{
			"bot_user": map[string]any{"display_name": "gatekeeper", "always_online": true},
			// Home is each approver's inbox; messages are answers and reminders,
			// which nobody writes back to.
			"app_home": map[string]any{"home_tab_enabled": true, "messages_tab_enabled": true, "messages_tab_read_only_enabled": true},
			"slash_commands": []any{o.door("url", "/webhook/slack/commands", map[string]any{
				"command": Command, "description": "What waits for your approval", "usage_hint": "pending | show REQ | help", "should_escape": false,
			})},
		},
		"oauth_config": map[string]any{"scopes": map[string]any{"bot": Scopes()}},
		"settings": map[string]any{
			"event_subscriptions":    o.door("request_url", "/webhook/slack/events", map[string]any{"bot_events": []string{"app_home_opened"}}),
			"interactivity":          o.door("request_url", "/webhook/slack/interactions", map[string]any{"is_enabled": true}),
			"org_deploy_enabled":     false,
			"socket_mode_enabled":    o.SocketMode,
			"token_rotation_enabled": false,
		},
	}
}
