package slack

import (
	"encoding/json"
	"strings"
)

// Scopes are the bot scopes that the app needs, and no more; docs/slack.md
// says why each.
func Scopes() []string {
	return []string{
		"channels:history", // find a message again after a crash, in public channels
		"chat:write",       // post, update, answer privately
		"groups:history",   // the same in private channels
		"usergroups:read",  // who is in an approvers' group now
		"users:read",       // who clicked: deactivated, guest, bot, stranger
	}
}

// Manifest is the app manifest for the gatekeeper at publicURL, as JSON with
// a line break at its end (https://docs.slack.dev/reference/app-manifest).
func Manifest(publicURL string) ([]byte, error) {
	if !safeURL(publicURL) {
		return nil, bad("the manifest needs the gatekeeper's public https URL")
	}
	body, err := json.MarshalIndent(manifest(strings.TrimRight(publicURL, "/")), "", "  ")
	if err != nil {
		return nil, err
	}
	return append(body, '\n'), nil
}

func manifest(publicURL string) map[string]any {
	return map[string]any{
		"display_information": map[string]any{
			"name":             "Gatekeeper",
			"description":      "Asks people before a deployment gets its credentials",
			"background_color": "#1d3557",
		},
		"features": map[string]any{
			"bot_user": map[string]any{"display_name": "gatekeeper", "always_online": true},
			// Where private answers go when the channel is closed to the app.
			"app_home": map[string]any{"home_tab_enabled": false, "messages_tab_enabled": true, "messages_tab_read_only_enabled": true},
		},
		"oauth_config": map[string]any{"scopes": map[string]any{"bot": Scopes()}},
		"settings": map[string]any{
			"interactivity":          map[string]any{"is_enabled": true, "request_url": publicURL + "/webhook/slack/interactions"},
			"org_deploy_enabled":     false,
			"socket_mode_enabled":    false,
			"token_rotation_enabled": false,
		},
	}
}
