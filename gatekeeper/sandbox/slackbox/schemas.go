package slackbox

// blockSchemas are the blocks that a surface (message, modal, home) shows.
// docs.slack.dev/reference/block-kit/blocks has a page for each.
func blockSchemas(surface string) map[string]schema {
	elements := elementSchemas()
	interactive := map[string]schema{}
	for kind, s := range elements {
		if kind != "image" && kind != "plain_text_input" {
			interactive[kind] = s
		}
	}
	contextElement := func(c *checker, at string, v any) {
		if kindOf(v) == "image" {
			typed(elements)(c, at, v)
			return
		}
		either(3000)(c, at, v)
	}
	accessories := map[string]schema{}
	for kind, s := range interactive {
		accessories[kind] = s
	}
	accessories["image"] = elements["image"]
	schemas := map[string]schema{
		"header":  {[]string{"text"}, map[string]rule{"text": plain(150), "level": number(1, 4)}},
		"divider": {},
		"section": {nil, map[string]rule{"text": either(3000), "fields": items(1, 10, either(2000)), "accessory": typed(accessories), "expand": boolean}},
		"context": {[]string{"elements"}, map[string]rule{"elements": items(1, 10, contextElement)}},
		"actions": {[]string{"elements"}, map[string]rule{"elements": items(1, 25, typed(interactive))}},
		"image":   {[]string{"alt_text"}, map[string]rule{"image_url": str(1, 3000), "alt_text": str(1, 2000), "title": plain(2000), "slack_file": anything}},
		"input": {[]string{"label", "element"}, map[string]rule{"label": plain(2000), "hint": plain(2000), "optional": boolean,
			"dispatch_action": boolean, "element": typed(inputs(elements))}},
		"rich_text": {[]string{"elements"}, map[string]rule{"elements": items(0, 1000, richText)}},
	}
	if surface == "message" {
		schemas["markdown"] = schema{[]string{"text"}, map[string]rule{"text": str(1, 12000)}}
	}
	for kind, s := range schemas {
		fields := map[string]rule{"block_id": blockID}
		for k, r := range s.fields {
			fields[k] = r
		}
		schemas[kind] = schema{s.need, fields}
	}
	return schemas
}

// inputs are the elements that an input block takes.
func inputs(elements map[string]schema) map[string]schema {
	out := map[string]schema{}
	for _, kind := range []string{"plain_text_input", "static_select", "users_select", "checkboxes", "radio_buttons", "datepicker"} {
		out[kind] = elements[kind]
	}
	return out
}

// elementSchemas are the elements of blocks
// (docs.slack.dev/reference/block-kit/block-elements).
func elementSchemas() map[string]schema {
	choices := func(most int) map[string]rule {
		return map[string]rule{"action_id": actionID, "options": items(1, most, option), "initial_option": option, "initial_options": items(1, most, option),
			"placeholder": plain(150), "confirm": confirm, "focus_on_load": boolean}
	}
	return map[string]schema{
		"image": {[]string{"alt_text"}, map[string]rule{"image_url": str(1, 3000), "alt_text": str(1, 2000), "slack_file": anything}},
		"button": {[]string{"text"}, map[string]rule{"text": plain(75), "action_id": actionID, "url": str(1, 3000), "value": str(0, 2000),
			"style": oneOf("primary", "danger"), "confirm": confirm, "accessibility_label": str(1, 75)}},
		"overflow":      {[]string{"options"}, choices(5)},
		"static_select": {[]string{"options"}, choices(100)},
		"radio_buttons": {[]string{"options"}, choices(10)},
		"checkboxes":    {[]string{"options"}, choices(10)},
		"users_select":  {nil, map[string]rule{"action_id": actionID, "initial_user": str(1, 255), "placeholder": plain(150), "confirm": confirm, "focus_on_load": boolean}},
		"datepicker":    {nil, map[string]rule{"action_id": actionID, "initial_date": str(10, 10), "placeholder": plain(150), "confirm": confirm, "focus_on_load": boolean}},
		"plain_text_input": {nil, map[string]rule{"action_id": actionID, "initial_value": str(0, 3000), "multiline": boolean, "min_length": number(0, 3000),
			"max_length": number(1, 3000), "placeholder": plain(150), "focus_on_load": boolean, "dispatch_action_config": anything}},
	}
}

func option(c *checker, at string, v any) {
	c.object(at, v, schema{[]string{"text", "value"}, map[string]rule{"text": either(75), "value": str(1, 150), "description": either(75), "url": str(1, 3000)}})
}

func confirm(c *checker, at string, v any) {
	c.object(at, v, schema{[]string{"title", "text", "confirm", "deny"}, map[string]rule{
		"title": plain(100), "text": either(300), "confirm": plain(30), "deny": plain(30), "style": oneOf("primary", "danger")}})
}

// richText weighs what is in it; its many kinds are the client's to know.
func richText(c *checker, _ string, v any) {
	switch v := v.(type) {
	case map[string]any:
		c.weight += eachObject
		for k, x := range v {
			if s, ok := x.(string); ok && k == "text" {
				c.weight += length(s)
				continue
			}
			richText(c, "", x)
		}
	case []any:
		for _, x := range v {
			richText(c, "", x)
		}
	}
}

// viewSchema is a modal's or a home tab's, without its blocks.
func viewSchema(surface string) schema {
	fields := map[string]rule{"blocks": anything, "private_metadata": str(0, 3000), "callback_id": str(0, 255), "external_id": str(0, 255)}
	if surface == "home" {
		return schema{[]string{"blocks"}, fields}
	}
	for k, r := range map[string]rule{"title": plain(24), "submit": plain(24), "close": plain(24), "clear_on_close": boolean, "notify_on_close": boolean, "submit_disabled": boolean} {
		fields[k] = r
	}
	return schema{[]string{"title", "blocks"}, fields}
}
