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
