// Package ports keeps ports for servers that bind theirs later, or more than
// once.
package ports

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
)

// Ports that are kept lie below those that systems give to whoever asks for
// any (Linux from 32768, RFC 6335 from 49152): no connection has one meanwhile.
const first, count = 15000, 17000

// Hold keeps n ports in a row on loopback, and returns the first one's
// address. Until release no other Hold on this machine gives one of them,
// whichever process it runs in. TCP's ports are free all that time; UDP's of
// the same numbers are what says that they are taken.
func Hold(n int) (addr string, release func(), err error) {
	for range 1000 {
		port := first + rand.IntN(count) //nolint:gosec // no secret
		var all held
		for i := range n {
			err = errors.Join(err, all.hold(address(port+i)))
		}
		if err == nil {
			return address(port), all.release, nil
		}
		all.release()
		err = nil
	}
	return "", nil, errors.New("no port is free")
}

func address(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

type held []net.PacketConn

func (h *held) hold(addr string) error {
	taken, err := net.ListenPacket("udp4", addr) //nolint:noctx // loopback
	if err != nil {
		return err
	}
	*h = append(*h, taken)
	l, err := net.Listen("tcp4", addr) //nolint:noctx // loopback
	if err != nil {
		return err
	}
	return l.Close()
}

func (h *held) release() {
	for _, taken := range *h {
		_ = taken.Close()
	}
}
