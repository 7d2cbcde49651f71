package gatekeeper

import "testing"

func TestLoopback(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost": true, "127.0.0.1": true, "127.9.8.7": true, "::1": true,
		"127.evil.com": false, "127.0.0.1.evil.com": false, "localhost.evil.com": false, "10.0.0.1": false, "0.0.0.0": false, "": false, "127.1": false,
	} {
		if got := Loopback(host); got != want {
			t.Errorf("%q: %v, want %v", host, got, want)
		}
	}
}
