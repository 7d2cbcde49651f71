package conf

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
)

// String reads text; absent gives def. Whole numbers count as their digits.
func (v Value) String(def string) string {
	if v.rec != nil {
		v.rec.shape.asText()
		return def
	}
	if !v.Present() {
		return def
	}
	switch v.node.(type) {
	case *ast.BoolNode, *ast.FloatNode:
		v.wrong("%s is no text; put it in quotes if it is meant as text", v.node.GetToken().Value)
		return def
	}
	s, ok := v.text()
	if !ok {
		return def
	}
	return s
}

// Required reads text that has to be there.
func (v Value) Required() string {
	if v.rec != nil {
		v.rec.need()
		v.rec.shape.asText().least = 1
		return ""
	}
	if s := v.String(""); s != "" {
		return s
	}
	if !v.Present() {
		v.wrong("is missing")
	} else if raw, ok := scalar(v.node); ok && raw == "" {
		v.wrong("is empty")
	}
	return ""
}

// Matching reads text of a shape, an anchored expression that editors take
// as well; absent gives "". wanted says what would be right.
func (v Value) Matching(shape *regexp.Regexp, wanted string) string {
	return v.Shaped(shape, "was found; "+wanted+" is wanted")
}

// Shaped is Matching with the whole sentence behind the text that was found.
func (v Value) Shaped(shape *regexp.Regexp, sentence string) string {
	s := v.String("")
	if v.rec != nil {
		v.rec.shape.asText().pattern = shape.String()
		return ""
	}
	empty := s == "" && v.IsScalar() && v.Word() == ""
	if empty || s != "" && !shape.MatchString(s) {
		v.wrong("%q %s", s, sentence)
		return ""
	}
	return s
}

// Bool reads true or false.
func (v Value) Bool(def bool) bool {
	return scan(v, def, "true or false", func(s *Shape) { s.truth = true }, func(s string) (bool, error) {
		if s != "true" && s != "false" {
			return false, errors.New("neither")
		}
		return s == "true", nil
	})
}

// Int reads a whole number of at least least.
func (v Value) Int(def, least int) int {
	note := func(s *Shape) { s.number, s.least = true, least }
	return scan(v, def, fmt.Sprintf("a whole number of at least %d", least), note, func(s string) (int, error) {
		n, err := strconv.Atoi(s)
		if err == nil && n < least {
			err = errors.New("too small")
		}
		return n, err
	})
}

// durations are what Duration reads; that it is more than nothing no pattern
// can say.
const durations = `^([0-9]+d|([0-9]+(\.[0-9]+)?(ms|s|m|h))+)$`

var durationShape = regexp.MustCompile(durations)

// Duration reads 90s, 15m, 1h30m or 2d; zero and less are faults.
func (v Value) Duration(def time.Duration) time.Duration {
	note := func(s *Shape) { s.asText().pattern = durations }
	return scan(v, def, "a duration such as 90s, 15m, 1h or 2d", note, func(s string) (time.Duration, error) {
		if !durationShape.MatchString(s) {
			return 0, errors.New("another form")
		}
		d, err := duration(s)
		if err == nil && d <= 0 {
			err = errMeaning
		}
		return d, err
	})
}

func duration(s string) (time.Duration, error) {
	days, ok := strings.CutSuffix(s, "d")
	if !ok {
		return time.ParseDuration(s)
	}
	n, err := strconv.Atoi(days)
	if err != nil || n > 36500 {
		return 0, errMeaning // a Duration ends at 292 years
	}
	return time.Duration(n) * 24 * time.Hour, nil
}

// times is RFC 3339, as far as a pattern can say it.
const times = `^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})$`

var timeShape = regexp.MustCompile(times)

// Time reads an RFC 3339 time.
func (v Value) Time() time.Time {
	note := func(s *Shape) { s.asText().pattern = times }
	return scan(v, time.Time{}, "a time such as 2026-12-18T00:00:00Z", note, func(s string) (time.Time, error) {
		t, err := time.Parse(time.RFC3339, s)
		if err != nil && timeShape.MatchString(s) {
			err = errMeaning
		}
		return t, err
	})
}

// Enum reads one of some words.
func (v Value) Enum(def string, words ...string) string {
	if v.rec != nil {
		v.rec.shape.asText().words = words
		return v.rec.word(def, words)
	}
	note := func(*Shape) {}
	return scan(v, def, "one of "+strings.Join(words, ", "), note, func(s string) (string, error) {
		if !slices.Contains(words, s) {
			return "", errors.New("none of them")
		}
		return s, nil
	})
}

// errMeaning is what is of the right shape and makes no sense.
var errMeaning = errors.New("no sense in it")

func scan[T any](v Value, def T, wanted string, note func(*Shape), parse func(string) (T, error)) T {
	if v.rec != nil {
		note(v.rec.shape)
		return def
	}
	if !v.Present() {
		return def
	}
	s, ok := v.text()
	if !ok {
		return def
	}
	got, err := parse(s)
	switch {
	case errors.Is(err, errMeaning):
		v.Fault("%q was found; %s is wanted", s, wanted)
		return def
	case err != nil:
		v.wrong("%q was found; %s is wanted", s, wanted)
		return def
	}
	return got
}
