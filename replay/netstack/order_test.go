package netstack

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"tundump/replay"
)

// The answer to the second request is there first and leaves second; one that
// never comes holds back nobody for long.
func TestEchoAnswersKeepOrder(t *testing.T) {
	second := make(chan struct{})
	gw := newStack(t, Config{Addresses: gatewayAddresses, Dial: world{}.dial, Echo: func(ctx context.Context, _ netip.Addr, payload []byte) error {
		switch string(payload) {
		case "first":
			<-second
		case "second":
			close(second)
		case "lost":
			<-ctx.Done()
			return ctx.Err()
		}
		return nil
	}})
	gw.turns.patience = time.Hour
	ask := func(payload string) {
		t.Helper()
		e := echo{src: netip.MustParseAddr("10.8.0.2"), dst: netip.MustParseAddr("192.0.2.1"), request: true, payload: []byte(payload)}
		if _, err := gw.Write([][]byte{e.packet()}); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(payload string) {
		t.Helper()
		bufs, sizes := replay.Buffers(1, gw.MTU())
		if _, err := gw.Read(bufs, sizes); err != nil {
			t.Fatal(err)
		}
		if e, ok := parseEcho(bufs[0][:sizes[0]]); !ok || string(e.payload) != payload {
			t.Fatalf("answered %q, want %q", e.payload, payload)
		}
	}
	ask("first")
	ask("second")
	ask("third")
	expect("first")
	expect("second")
	expect("third")
	gw.turns.patience = time.Millisecond
	ask("lost")
	ask("fourth")
	expect("fourth")
	gw.Close() // waits for all of them
	if n := len(gw.turns.last); n != 0 {
		t.Fatalf("%d pairs are remembered", n)
	}
}
