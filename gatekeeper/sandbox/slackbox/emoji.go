package slackbox

import "strings"

// emojiAt writes the :name: that s begins with and tells its length; 0: there
// is none that we know. Slack shows unknown names as they are, too.
func emojiAt(b *strings.Builder, s string) int {
	if s[0] != ':' {
		return 0
	}
	end := strings.IndexByte(s[1:], ':')
	if end < 1 {
		return 0
	}
	e, ok := emoji(s[1 : 1+end])
	if !ok {
		return 0
	}
	b.WriteString(`<span class="emoji" title=":` + s[1:1+end] + `:">` + e + `</span>`)
	return end + 2
}

// emoji knows the names that deployment messages use.
func emoji(name string) (string, bool) {
	e, ok := map[string]string{
		"white_check_mark": "✅", "heavy_check_mark": "✔️", "ballot_box_with_check": "☑️", "x": "❌", "negative_squared_cross_mark": "❎",
		"no_entry": "⛔", "no_entry_sign": "🚫", "octagonal_sign": "🛑", "warning": "⚠️", "rotating_light": "🚨", "exclamation": "❗", "question": "❓",
		"hourglass": "⌛", "hourglass_flowing_sand": "⏳", "alarm_clock": "⏰", "stopwatch": "⏱️", "timer_clock": "⏲️", "clock1": "🕐", "calendar": "📆",
		"rocket": "🚀", "ship": "🚢", "package": "📦", "construction": "🚧", "wrench": "🔧", "hammer_and_wrench": "🛠️", "gear": "⚙️", "truck": "🚚",
		"lock": "🔒", "unlock": "🔓", "key": "🔑", "closed_lock_with_key": "🔐", "shield": "🛡️", "ticket": "🎫", "passport_control": "🛂",
		"eyes": "👀", "bell": "🔔", "no_bell": "🔕", "mega": "📣", "loudspeaker": "📢", "speech_balloon": "💬", "memo": "📝", "pencil": "✏️", "clipboard": "📋",
		"link": "🔗", "mag": "🔍", "bulb": "💡", "fire": "🔥", "boom": "💥", "bug": "🐛", "ladybug": "🐞", "ghost": "👻", "robot_face": "🤖",
		"tada": "🎉", "sparkles": "✨", "star": "⭐", "zap": "⚡", "100": "💯", "chart_with_upwards_trend": "📈", "bar_chart": "📊",
		"thumbsup": "👍", "+1": "👍", "thumbsdown": "👎", "-1": "👎", "raised_hand": "✋", "wave": "👋", "pray": "🙏", "muscle": "💪", "point_right": "👉",
		"smile": "😄", "slightly_smiling_face": "🙂", "joy": "😂", "thinking_face": "🤔", "sweat_smile": "😅", "scream": "😱",
		"red_circle": "🔴", "large_orange_circle": "🟠", "large_yellow_circle": "🟡", "large_green_circle": "🟢", "large_blue_circle": "🔵", "white_circle": "⚪", "black_circle": "⚫",
		"large_red_square": "🟥", "large_green_square": "🟩", "arrow_right": "➡️", "arrow_left": "⬅️", "arrow_up": "⬆️", "arrow_down": "⬇️", "leftwards_arrow_with_hook": "↩️",
		"arrows_counterclockwise": "🔄", "fast_forward": "⏩", "black_right_pointing_double_triangle_with_vertical_bar": "⏭️", "black_square_for_stop": "⏹️", "double_vertical_bar": "⏸️",
		"heart": "❤️", "information_source": "ℹ️", "recycle": "♻️", "snowflake": "❄️", "ice_cube": "🧊", "earth_africa": "🌍", "cloud": "☁️", "house": "🏠", "bust_in_silhouette": "👤", "busts_in_silhouette": "👥",
		"heavy_plus_sign": "➕", "heavy_minus_sign": "➖", "small_blue_diamond": "🔹", "pushpin": "📌", "card_index_dividers": "🗂️", "inbox_tray": "📥", "outbox_tray": "📤", "mailbox_with_mail": "📬",
	}[name]
	return e, ok
}
