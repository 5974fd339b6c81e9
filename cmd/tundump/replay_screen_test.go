//go:build unix

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tundump/capture/pcapng"
)

// TestReplayScreen plays a recording of one answer that is the same and one
// that is not behind the screen, which has them side by side, and marks what is
// different in both captures, but not in the notes beside them.
func TestReplayScreen(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the program")
	}
	file := recordPings(t)
	x := newTerminal(t, 120, 24, fmt.Sprintf("%s replay %s --netstack --tui -o; echo exit $?", buildProgram(t), file))
	x.shows("‖ 0 of 2")
	x.shows("· not yet           2")
	x.keys(".")
	x.shows("‖ 1 of 2, 1 answered")
	x.shows("= same              2")
	x.shows("· not yet           4")
	x.keys("P") // goes on to the end
	x.shows("■ 1 changed")
	x.shows("≠ changed           4")
	x.keys("'") // to what is different
	x.shows("≠ CHANGED  packet 4, the answer to 3; now packet 4")
	x.keys("Enter")
	x.shows("note: replay: changed; data.data: recorded") // on the row of what came
	x.keys("]")                                           // to the recording
	x.shows("[2/2] pings.pcapng")
	x.keys("7")
	x.shows("≠ changed           4")
	x.keys("D") // only what is different
	x.shows("1 of 2")
	x.keys("Enter")
	x.shows("note: replay: changed; data.data: recorded")
	x.keys("Up", "m")
	x.until("a mark beside the recording", func(string) bool {
		b, err := os.ReadFile(file + ".notes")
		return err == nil && string(b) == `{"type":"mark","frame":3}`+"\n"
	})
	x.keys("Q")
	x.shows("exit 1")
	x.shows("tundump: replay: 1 changed")
}

// recordPings is a capture of two pings, of which the second has another answer
// than hosts give.
func recordPings(t *testing.T) string {
	t.Helper()
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
	return file
}

// TestReplayFromScreen plays a part of what is on the screen, and then all of
// it; the reports are printed once the screen is gone.
func TestReplayFromScreen(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the program")
	}
	file := recordPings(t)
	junit := filepath.Join(t.TempDir(), "replay.xml")
	x := newTerminal(t, 120, 24, fmt.Sprintf("%s open %s; echo exit $?", buildProgram(t), file))
	x.shows("4 packets")
	x.keys("m", "r")
	x.shows("what is marked")
	x.keys("-l", "marked")
	x.keys("Enter")
	x.shows("Play what is marked")
	x.keys("Enter")
	x.shows("--netstack -Y 'frame.number in {1}'")
	x.keys("-l", " --tnu")
	x.keys("Enter")
	x.shows("unknown flag: --tnu")
	x.keys("BSpace", "BSpace", "BSpace", "BSpace", "BSpace")
	x.keys("Enter")
	x.shows("sending 1 packet")
	x.keys("Enter")
	x.shows("[2/2] replay of pings.pcapng")
	x.shows("■ the same: 1 answer")
	x.keys("]")
	x.shows("[1/2] pings.pcapng")
	x.keys("U", "r")
	x.shows("the whole capture")
	x.keys("Enter")
	x.shows("Play the whole capture")
	x.keys("Enter")
	x.shows("replay --netstack")
	x.keys("-l", " -o --report junit="+junit)
	x.keys("Enter")
	x.shows("sending 2 packets")
	x.keys("Enter")
	x.shows("[3/3]")
	x.shows("‖ 0 of 2")
	x.keys("[", "[") // both recordings of it are steered
	x.shows("[1/3] pings.pcapng")
	x.keys(".")
	x.shows("‖ 1 of 2, 1 answered")
	x.keys("P")
	x.shows("■ 1 changed")
	x.keys("'")
	x.shows("replay: changed")
	x.keys("C-x") // the recording is closed; what came of it stays
	x.shows("[1/2]")
	x.shows("2 packets")
	x.keys("Q")
	x.shows("exit 0")
	x.shows("answers     1 of 1")
	x.shows("tundump: replay: 1 changed")
	if b, err := os.ReadFile(junit); err != nil || !strings.Contains(string(b), `failures="1"`) {
		t.Errorf("the report: %v, %s", err, b)
	}
	if _, err := os.Stat(file + ".notes"); !errors.Is(err, fs.ErrNotExist) {
		b, _ := os.ReadFile(file + ".notes")
		if strings.Contains(string(b), "replay:") {
			t.Errorf("the notes have what nobody wrote: %s", b)
		}
	}
}
