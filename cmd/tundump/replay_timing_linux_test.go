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
	sent := seconds * rate
	for _, speed := range []float64{10, 1} {
		gap := 1e9 / rate / speed
		ours := l.timed(t, "any", sent, gap, func() {
			t.Log(l.on(t, "host", program, "replay", bare, "--tun=pace0", "--address", "10.8.0.1/24", "-x", fmt.Sprint(speed), "--wait", "10ms"))
		})
		theirs := l.timed(t, "two", sent, gap, func() {
			t.Log(l.on(t, "host", "tcpreplay", "-i", "one", "-x", fmt.Sprint(speed), "-K", ethernet))
		})
		t.Logf("×%v tundump   %s", speed, ours)
		t.Logf("×%v tcpreplay %s", speed, theirs)
		if off := (ours.took - ours.planned).Abs(); off > ours.planned/200 {
			t.Errorf("×%v: the total is %v off, more than 0.5 %%", speed, off)
		}
		if ours.p99 > theirs.p99 {
			t.Errorf("×%v: the 99th percentile is %v late, tcpreplay's %v", speed, ours.p99, theirs.p99)
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

const probeSize = 100

// probe is a packet to a neighbour, which a host that does not forward drops
// without a word. Its protocol number is one for experiments.
func probe(i int) []byte {
	b := make([]byte, probeSize)
	b[0], b[2], b[3], b[8], b[9] = 0x45, 0, probeSize, 64, 253
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

// timing is what was seen on a device of packets that were due at regular
// times, against the first one that was seen.
type timing struct {
	seen, sent    int
	took, planned time.Duration // from the first one that was seen to the last
	p50, p99, max time.Duration // late
}

func (m timing) String() string {
	return fmt.Sprintf("%d of %d packets seen, took %v of %v (%+.3f %%), late p50 %v p99 %v max %v", m.seen, m.sent,
		m.took.Round(time.Microsecond), m.planned.Round(time.Microsecond), 100*(m.took-m.planned).Seconds()/m.planned.Seconds(), m.p50, m.p99, m.max)
}

// timed runs f while tcpdump looks at a device, and says how n packets that
// were due gap nanoseconds apart came in.
func (l *lab) timed(t *testing.T, device string, n int, gap float64, f func()) timing {
	t.Helper()
	file := filepath.Join(t.TempDir(), "seen.pcap")
	dump := exec.CommandContext(t.Context(), "ip", "netns", "exec", l.prefix+"host", "tcpdump", "-i", device, "-Q", "in", "-B", "262144", "--nano", "-Z", "root", "-c", strconv.Itoa(n), "-w", file, "ip", "proto", "253")
	told, err := dump.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := dump.Start(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, told, "listening on")
	f()
	// It ends with the last packet; if it was not given that, it is told to.
	overdue := time.AfterFunc(5*time.Second, func() { _ = dump.Process.Signal(os.Interrupt) })
	defer overdue.Stop()
	waitFor(t, told, "dropped by kernel")
	if err := dump.Wait(); err != nil {
		t.Error(err)
	}
	in, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	m := timing{sent: n}
	var late []float64
	first, last := -1, 0
	var begin, end int64
	r := pcapng.NewReader(in)
	var b pcapng.Block
	var p pcapng.Packet
	for r.Next(&b) == nil {
		if !b.IsPacket() || b.Packet(&p) != nil || len(p.Data) < probeSize {
			continue
		}
		number := int(binary.BigEndian.Uint32(p.Data[len(p.Data)-probeSize+20:]))
		if first < 0 {
			first, begin = number, p.Time
		}
		last, end = number, p.Time
		late = append(late, float64(p.Time-begin)-float64(number-first)*gap)
	}
	if len(late) < 2 {
		t.Fatalf("%s: %d of %d packets were seen", device, len(late), n)
	}
	m.seen, m.took, m.planned = len(late), time.Duration(end-begin), time.Duration(float64(last-first)*gap)
	// The first one may be late itself: the earliest is the measure.
	least := slices.Min(late)
	slices.Sort(late)
	at := func(q float64) time.Duration { return time.Duration(late[int(q*float64(len(late)-1))] - least) }
	m.p50, m.p99, m.max = at(0.5), at(0.99), at(1)
	return m
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
