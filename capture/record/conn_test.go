package record

import (
	"testing"

	"tundump/decode"
)

// A receiver that never sends must not be taken for one whose window is full.
func TestBulkIsAcknowledged(t *testing.T) {
	e := &encoder{tunnels: map[uint32]*tunnel{}}
	send := func() {
		e.add(decode.Event{Kind: decode.Record, Flags: decode.OnClientSide, Tunnel: 1, Time: start, Raw: make([]byte, 1000)})
	}
	send()
	c := &e.tunnels[1].conns[clientSide]
	c.acked[c2s] -= maxUnacked - 1500 // as if that much had been sent
	blocks := e.blocks[clientSide]
	send()
	if e.blocks[clientSide] != blocks+1 {
		t.Errorf("%d blocks for one record", e.blocks[clientSide]-blocks)
	}
	send()
	if n := c.next[c2s] - c.acked[c2s]; e.blocks[clientSide] != blocks+3 || n != 1000 {
		t.Errorf("%d blocks for two records and an acknowledgement; %d bytes are not acknowledged", e.blocks[clientSide]-blocks, n)
	}
}

func TestEndpoints(t *testing.T) {
	for _, test := range []struct{ a, b, wantA, wantB string }{
		{"10.0.0.1:1", "10.0.0.2:2", "10.0.0.1:1", "10.0.0.2:2"},
		{"[::ffff:10.0.0.1]:1", "10.0.0.2:2", "10.0.0.1:1", "10.0.0.2:2"},
		{"10.0.0.1:1", "[::]:8890", "10.0.0.1:1", "198.51.100.1:8890"},
		{"[2001:db8:9::1]:1", "0.0.0.0:99", "[2001:db8:9::1]:1", "[2001:db8::1:1]:99"},
		{"[fe80::1%eth0]:1", "[fe80::2]:2", "[fe80::1]:1", "[fe80::2]:2"},
		{"10.0.0.1:1", "[2001:db8::1]:2", "10.0.0.1:1", "198.51.100.1:2"},
		{"", "10.0.0.2:2", "192.0.2.1:1031", "10.0.0.2:2"},
		{"", "", "192.0.2.1:1031", "198.51.100.1:8890"},
	} {
		a, b := endpoints(addrPort(test.a), addrPort(test.b), 7, clientSide)
		if a.String() != test.wantA || b.String() != test.wantB {
			t.Errorf("%q, %q: %v, %v, want %s, %s", test.a, test.b, a, b, test.wantA, test.wantB)
		}
	}
}
