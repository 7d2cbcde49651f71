package limit

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// group is whose an address is taken to be: IPv6 hands out /64s, so whoever
// has one address has as many as they like.
func group(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	if !a.Is6() {
		return a
	}
	p, _ := a.Prefix(64) // never fails for 64 bits of 128
	return p.Addr()
}

// peer is the other end's address; the zero one where it has none.
func peer(a net.Addr) netip.Addr {
	if tcp, ok := a.(*net.TCPAddr); ok {
		return tcp.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}

// proxied tells whether the address is a proxy of ours.
func (l *Limiter) proxied(a netip.Addr) bool {
	return slices.ContainsFunc(l.Proxies, func(p netip.Prefix) bool { return p.Contains(a.Unmap().WithZone("")) })
}

// client is who calls: the peer, or where that is a proxy of ours, the nearest
// address in its headers that is none. What stands farther left is the
// client's own word. Without trusted proxies the headers are the client's.
func (l *Limiter) client(peer netip.Addr, h http.Header) netip.Addr {
	xff, forwarded := h["X-Forwarded-For"], h["Forwarded"]
	if len(xff)+len(forwarded) == 0 {
		return peer
	}
	if !l.proxied(peer) {
		l.warnOf(peer)
		return peer
	}
	a, b := l.nearest(peer, xff, plainHop), l.nearest(peer, forwarded, forwardedHop)
	switch {
	case len(forwarded) == 0, a == b:
		return a
	case len(xff) == 0:
		return b
	}
	return peer // one of the two came through from the client, and which is not known
}

// nearest walks from the right while the hops are ours.
func (l *Limiter) nearest(at netip.Addr, lines []string, parse func(string) (netip.Addr, bool)) netip.Addr {
	for _, line := range slices.Backward(lines) {
		for _, hop := range slices.Backward(strings.Split(line, ",")) {
			a, ok := parse(strings.TrimSpace(hop))
			if !ok {
				return at
			}
			if at = a; !l.proxied(a) {
				return a
			}
		}
	}
	return at
}

// plainHop reads an address; some balancers add the port.
func plainHop(s string) (netip.Addr, bool) {
	if a, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return a.Unmap(), true
	}
	ap, err := netip.ParseAddrPort(s)
	return ap.Addr().Unmap(), err == nil
}

// forwardedHop reads `for=` of an element (RFC 7239 section 4).
func forwardedHop(s string) (netip.Addr, bool) {
	for pair := range strings.SplitSeq(s, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(pair), "=")
		if strings.EqualFold(name, "for") {
			return plainHop(strings.Trim(value, `"`))
		}
	}
	return netip.Addr{}, false
}

// warnOf says once that a proxy stands before us that is not configured: all
// of its clients are one address then.
func (l *Limiter) warnOf(peer netip.Addr) {
	l.warned.Do(func() {
		l.Logger.Warn("a caller says that it speaks for another address and is no trusted proxy, so all that come through it count as one; if it is a proxy of yours, name it in trusted_proxies", "peer", peer)
	})
}
