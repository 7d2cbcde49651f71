package parts

import (
	"fmt"
	"math/rand/v2"
	"net"
	"testing"
)

// Addr is one on loopback for a server that is stopped and started again. Its
// port is below those that systems give to whoever asks for any, so nobody has
// it meanwhile.
func Addr(t testing.TB) string {
	t.Helper()
	for range 100 {
		addr := fmt.Sprintf("127.0.0.1:%d", 15000+rand.IntN(17000)) //nolint:gosec // no secret
		var lc net.ListenConfig
		if l, err := lc.Listen(t.Context(), "tcp", addr); err == nil {
			_ = l.Close()
			return addr
		}
	}
	t.Fatal("no port is free")
	return ""
}
