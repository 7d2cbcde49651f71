package gatekeeper

import "net/netip"

// Loopback says whether a URL's host, as url.URL.Hostname gives it, is this
// machine: the only place where plain http is taken. Only an address counts,
// never a name that looks like one: 127.evil.com is a stranger's.
func Loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}
