//go:build unix

package main

import (
	"fmt"
	"path/filepath"
	"testing"

	"tundump/capture/pcapng"
)

// TestReplayScreen plays a recording of one answer that is the same and one
// that is not behind the screen.
func TestReplayScreen(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the program")
	}
	file := filepath.Join(t.TempDir(), "pings.pcapng")
	b := pcapng.AppendInterface(pcapng.AppendSection(nil, "test"), &pcapng.Interface{LinkType: 101})
	for i, text := range []string{"same", "now"} {
		recorded := text
		if i == 1 {
			recorded = "then"
		}
		for j, p := range []*pcapng.Packet{
			{Data: icmpEcho(8, byte(i), text), Flags: pcapng.Outbound},
			{Data: icmpEcho(0, byte(i), recorded), Flags: pcapng.Inbound},
		} {
			p.Time = 1e18 + int64(2*i+j)*1e9
			b = pcapng.AppendPacket(b, p)
		}
	}
	writeFile(t, file, string(b))
	x := newTerminal(t, 120, 24, fmt.Sprintf("%s replay %s --netstack --tui -o; echo exit $?", buildProgram(t), file))
	x.shows("‖ 0 of 2")
	x.keys(".")
	x.shows("‖ 1 of 2, 1 answered")
	x.keys("]") // to the recording
	x.shows("[2/2] pings.pcapng")
	x.keys("P") // goes on to the end
	x.shows("■ 1 changed")
	x.keys("'") // to what is marked
	x.shows("replay: changed")
	x.keys("Q")
	x.shows("exit 1")
	x.shows("tundump: replay: 1 changed")
}

// icmpEcho is a ping to a neighbour, or its answer.
func icmpEcho(typ, seq byte, text string) []byte {
	p := append([]byte{0x45, 0, 0, byte(28 + len(text)), 0, seq, 0, 0, 64, 1, 0, 0, 10, 8, 0, 2, 10, 8, 0, 1, typ, 0, 0, 0, 0, 7, 0, seq}, text...)
	if typ == 0 {
		copy(p[12:], []byte{10, 8, 0, 1, 10, 8, 0, 2})
	}
	for _, sum := range []struct{ from, to, at int }{{0, 20, 10}, {20, len(p), 22}} {
		c := uint32(0)
		for i := sum.from; i < sum.to; i++ {
			c += uint32(p[i]) << (8 * (1 - i%2))
		}
		for c > 0xffff {
			c = c>>16 + c&0xffff
		}
		p[sum.at], p[sum.at+1] = ^byte(c>>8), ^byte(c)
	}
	return p
}
