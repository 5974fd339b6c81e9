package main

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"tundump/capture/pcapng"
	"tundump/replay/tun"
)

// TestReplayTiming says how exact the times are that a replay sends at, beside
// tcpreplay's: TUNDUMP_VERSUS=1, for some three minutes, or fewer with a capture
// of TUNDUMP_VERSUS_SECONDS.
func TestReplayTiming(t *testing.T) {
	if os.Getenv("TUNDUMP_VERSUS") == "" {
		t.Skip("TUNDUMP_VERSUS is not set: it takes minutes, and a quiet machine")
	}
	program := needLab(t)
	for _, tool := range []string{"tcpreplay", "tcpdump"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(tool + " is not installed")
		}
	}
	const rate = 5000
	seconds := 60
	if s := os.Getenv("TUNDUMP_VERSUS_SECONDS"); s != "" {
		var err error
		if seconds, err = strconv.Atoi(s); err != nil || seconds < 1 {
			t.Fatalf("TUNDUMP_VERSUS_SECONDS=%s: seconds of a capture", s)
		}
	}
	bare, ethernet := paced(t, seconds*rate, rate)
	l := newHost(t, program)
	l.on(t, "host", "ip", "link", "add", "one", "type", "veth", "peer", "name", "two")
	for _, dev := range []string{"one", "two"} {
		l.on(t, "host", "sysctl", "-qw", "net.ipv6.conf."+dev+".disable_ipv6=1")
		l.on(t, "host", "ip", "link", "set", dev, "up")
	}
	for _, speed := range []float64{10, 1} {
		ours := l.timed(t, "any", func() {
			t.Log(l.on(t, "host", program, "replay", bare, "--tun=pace0", "--address", "10.8.0.1/24", "-x", fmt.Sprint(speed), "--wait", "10ms"))
		})
		theirs := l.timed(t, "two", func() {
			t.Log(l.on(t, "host", "tcpreplay", "-i", "one", "-x", fmt.Sprint(speed), "-K", ethernet))
		})
		gap := 1e9 / rate / speed
		for name, times := range map[string][]int64{"tundump": ours, "tcpreplay": theirs} {
			if len(times) == 0 {
				t.Errorf("%s: no packet was seen", name)
				continue
			}
			// tcpdump that is stopped leaves out the last ones.
			planned := time.Duration(float64(len(times)-1) * gap)
			took := time.Duration(times[len(times)-1] - times[0])
			t.Logf("×%v %-9s %d packets seen, took %v of %v (%+.3f %%), %s", speed, name, len(times), took.Round(time.Microsecond), planned.Round(time.Microsecond), 100*(took-planned).Seconds()/planned.Seconds(), lateness(times, gap))
			if off := (took - planned).Abs(); name == "tundump" && off > planned/200 {
				t.Errorf("×%v: the total is %v off, more than 0.5 %%", speed, off)
			}
		}
	}
}

// paced makes the same packets as bare ones, for us, and as Ethernet frames,
// for tcpreplay.
func paced(t *testing.T, n, rate int) (bare, ethernet string) {
	t.Helper()
	dir := t.TempDir()
	frame := append([]byte("\x02\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x02\x08\x00"), probe(0)...)
	for name, link := range map[string]uint16{"bare": 101, "ethernet": 1} {
		b := pcapng.AppendInterface(pcapng.AppendSection(nil, "test"), &pcapng.Interface{LinkType: link})
		for i := range n {
			copy(frame[14:], probe(i))
			data := frame
			if link == 101 {
				data = frame[14:]
			}
			b = pcapng.AppendPacket(b, &pcapng.Packet{Time: 1e18 + int64(i)*1e9/int64(rate), Data: data, Flags: pcapng.Outbound})
		}
		writeFile(t, filepath.Join(dir, name), string(b))
	}
	return filepath.Join(dir, "bare"), filepath.Join(dir, "ethernet")
}

// probe is a packet to a neighbour, which a host that does not forward drops
// without a word. Its protocol number is one for experiments.
func probe(i int) []byte {
	b := make([]byte, 100)
	b[0], b[2], b[3], b[8], b[9] = 0x45, 0, 100, 64, 253
	copy(b[12:], []byte{10, 8, 0, 2, 10, 8, 0, 3})
	binary.BigEndian.PutUint32(b[20:], uint32(i))
	sum := 0
	for j := 0; j < 20; j += 2 {
		sum += int(b[j])<<8 | int(b[j+1])
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	binary.BigEndian.PutUint16(b[10:], ^uint16(sum))
	return b
}

// timed runs f while tcpdump looks at a device, and returns when it saw each
// of the packets come in.
func (l *lab) timed(t *testing.T, device string, f func()) []int64 {
	t.Helper()
	file := filepath.Join(t.TempDir(), "seen.pcap")
	dump := exec.CommandContext(t.Context(), "ip", "netns", "exec", l.prefix+"host", "tcpdump", "-i", device, "-Q", "in", "-s", "64", "-B", "262144", "--nano", "-Z", "root", "-w", file, "ip", "proto", "253")
	told, err := dump.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := dump.Start(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, told, "listening on")
	f()
	if err := dump.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	waitFor(t, told, "dropped by kernel")
	if err := dump.Wait(); err != nil {
		t.Error(err)
	}
	in, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	var times []int64
	r := pcapng.NewReader(in)
	var b pcapng.Block
	var p pcapng.Packet
	for r.Next(&b) == nil {
		if b.IsPacket() && b.Packet(&p) == nil {
			times = append(times, p.Time)
		}
	}
	return times
}

// lateness says how late packets were that were due gap nanoseconds apart,
// against the one that was the earliest.
func lateness(times []int64, gap float64) string {
	late := make([]float64, len(times))
	for i, at := range times {
		late[i] = float64(at-times[0]) - float64(i)*gap
	}
	least := slices.Min(late)
	slices.Sort(late)
	q := func(q float64) time.Duration { return time.Duration(late[int(q*float64(len(late)-1))] - least) }
	return fmt.Sprintf("late p50 %v p99 %v max %v", q(0.5), q(0.99), q(1))
}

// TestReplayTopSpeed says how much of the speed of a loop that only writes is
// left of it: TUNDUMP_VERSUS=1.
func TestReplayTopSpeed(t *testing.T) {
	if os.Getenv("TUNDUMP_VERSUS") == "" {
		t.Skip("TUNDUMP_VERSUS is not set: it takes a quiet machine")
	}
	program := needLab(t)
	l := newHost(t, program)
	const packets = 500_000
	bare, _ := paced(t, packets, 5000)
	for round := range 3 {
		took := in(t, l, "host", func() (time.Duration, error) { return writeOnly(packets) })
		j, code, out := l.replayed(t, bare, "--tun", "--address", "10.8.0.1/24", "-t", "--wait", "10ms")
		if code != 0 || j.Sent != packets {
			t.Fatalf("exit %d, %+v\n%s", code, j, out)
		}
		loop, replay := packets/took.Seconds(), packets/j.Elapsed
		t.Logf("round %d: the loop %.0f packets/s, replay %.0f, %.2f of it", round, loop, replay, replay/loop)
	}
}

// writeOnly writes the packets to a device of its own, and nothing else.
func writeOnly(packets int) (time.Duration, error) {
	dev, err := tun.Open(tun.Options{Name: "bare0"})
	if err != nil {
		return 0, err
	}
	defer dev.Close()
	var setup tun.Setup
	if err := setup.Apply(tun.Address("bare0", netip.MustParsePrefix("10.8.0.1/24")), tun.Up("bare0")); err != nil {
		return 0, err
	}
	var pkts [][]byte
	for i := range packets {
		pkts = append(pkts, probe(i))
	}
	start := time.Now()
	for i := 0; i < packets; i++ {
		if _, err := dev.Write(pkts[i : i+1]); err != nil {
			return 0, err
		}
	}
	return time.Since(start), nil
}
