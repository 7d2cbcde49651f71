package limit

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"testing"
)

// Who calls is the nearest hop that is no proxy of ours; what a client says
// of itself counts for nothing.
func TestClient(t *testing.T) {
	var log bytes.Buffer
	l := New(Options{FailuresPerAddress: 1, Proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	for name, c := range map[string]struct {
		peer           string
		xff, forwarded []string
		want           string
	}{
		"nobody between":         {"203.0.113.9", nil, nil, "203.0.113.9"},
		"spoofed":                {"203.0.113.9", []string{"198.51.100.1"}, nil, "203.0.113.9"},
		"spoofed Forwarded":      {"203.0.113.9", nil, []string{"for=198.51.100.1"}, "203.0.113.9"},
		"one proxy":              {"10.1.1.1", []string{"203.0.113.9"}, nil, "203.0.113.9"},
		"spoofed behind a proxy": {"10.1.1.1", []string{"198.51.100.1, 203.0.113.9"}, nil, "203.0.113.9"},
		"spoofed as a proxy":     {"10.1.1.1", []string{"10.9.9.9, 203.0.113.9"}, nil, "203.0.113.9"},
		"two proxies":            {"10.1.1.1", []string{"198.51.100.1, 203.0.113.9, 10.2.2.2"}, nil, "203.0.113.9"},
		"two lines":              {"10.1.1.1", []string{"198.51.100.1", "203.0.113.9"}, nil, "203.0.113.9"},
		"with a port":            {"10.1.1.1", []string{"203.0.113.9:4711"}, nil, "203.0.113.9"},
		"IPv6":                   {"fd00::1", []string{"2001:db8::7"}, nil, "2001:db8::7"},
		"IPv4 in IPv6":           {"::ffff:10.1.1.1", []string{"::ffff:203.0.113.9"}, nil, "203.0.113.9"},
		"Forwarded":              {"10.1.1.1", nil, []string{`for=198.51.100.1, for="[2001:db8::7]:4711";proto=https`}, "2001:db8::7"},
		"Forwarded, open quote":  {"10.1.1.1", nil, []string{`for="198.51.100.1, for=203.0.113.9`}, "203.0.113.9"},
		"both agree":             {"10.1.1.1", []string{"203.0.113.9"}, []string{"For=203.0.113.9"}, "203.0.113.9"},
		"one came through":       {"10.1.1.1", []string{"203.0.113.9"}, []string{"for=198.51.100.1"}, "10.1.1.1"},
		"rubbish":                {"10.1.1.1", []string{"203.0.113.9, unknown"}, nil, "10.1.1.1"},
		"rubbish before a proxy": {"10.1.1.1", []string{"x, 10.2.2.2"}, nil, "10.2.2.2"},
		"obfuscated":             {"10.1.1.1", nil, []string{"for=_hidden"}, "10.1.1.1"},
		"only proxies":           {"10.1.1.1", []string{"10.3.3.3, 10.2.2.2"}, nil, "10.3.3.3"},
		"empty":                  {"10.1.1.1", []string{""}, nil, "10.1.1.1"},
		"a thousand before it":   {"10.1.1.1", []string{strings.Repeat("198.51.100.1,", 1000) + "203.0.113.9"}, nil, "203.0.113.9"},
	} {
		h := http.Header{}
		for _, line := range c.xff {
			h.Add("X-Forwarded-For", line)
		}
		for _, line := range c.forwarded {
			h.Add("Forwarded", line)
		}
		if got := l.client(netip.MustParseAddr(c.peer), h); got.Unmap().String() != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
	if n := strings.Count(log.String(), "trusted_proxies"); n != 1 {
		t.Errorf("an unknown proxy was told of %d times:\n%s", n, log.String())
	}
}

// Whoever has an IPv6 address has its /64.
func TestGroup(t *testing.T) {
	for a, want := range map[string]string{
		"203.0.113.9": "203.0.113.9", "::ffff:203.0.113.9": "203.0.113.9",
		"2001:db8:1:2:3:4:5:6": "2001:db8:1:2::", "2001:db8:1:2::": "2001:db8:1:2::", "2001:db8:1:3::1": "2001:db8:1:3::", "fe80::1%eth0": "fe80::",
	} {
		if got := group(netip.MustParseAddr(a)); got.String() != want {
			t.Errorf("%s: %s, want %s", a, got, want)
		}
	}
}

// The lines of a header are counted as they come, in whatever pieces; those
// of a body are not.
func TestHeaderLines(t *testing.T) {
	head := func(n int) string {
		return "POST / HTTP/1.1\r\n" + strings.Repeat("a: b\r\n", n) + "\r\n"
	}
	for name, c := range map[string]struct {
		text string
		want bool
	}{
		"few":             {head(20), true},
		"all":             {head(maxHeaders), true},
		"one too many":    {head(maxHeaders + 1), false},
		"bare LF":         {strings.ReplaceAll(head(maxHeaders+1), "\r", ""), false},
		"lines of a body": {head(3) + strings.Repeat("\n", 5000), true},
		"blank at first":  {"\r\n" + head(5), true},
	} {
		for _, piece := range []int{1, 2, 3, 7, 4096} {
			var h header
			ok := true
			for rest := []byte(c.text); len(rest) > 0 && ok; {
				n := min(piece, len(rest))
				ok = h.take(rest[:n])
				rest = rest[n:]
			}
			if ok != c.want {
				t.Errorf("%s in pieces of %d: %v", name, piece, ok)
			}
		}
	}
}
