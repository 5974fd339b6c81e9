package record

import (
	"math/rand/v2"
	"net/netip"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"tundump/decode"
)

// run runs a tool that judges captures, and skips the test where it is absent.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed", name)
	}
	cmd := exec.Command(path, args...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, stderr.String())
	}
	return string(out)
}

func ordinaryFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "session.pcapng")
	s := newSession(t, Options{Path: path})
	s.ordinary()
	s.close()
	return path
}

// asData keeps tshark from taking the tunnel's port for another protocol, and
// makes it look at what it would not.
var asData = []string{"-d", "tcp.port==8890,data", "-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE"}

func tshark(t *testing.T, path string, args ...string) []string {
	t.Helper()
	out := run(t, "tshark", append(append([]string{"-n", "-r", path}, asData...), args...)...)
	return strings.FieldsFunc(out, func(r rune) bool { return r == '\n' })
}

func TestTsharkFindsNothingWrong(t *testing.T) {
	path := ordinaryFile(t)
	for _, filter := range []string{
		"_ws.malformed",
		"_ws.short",
		"ip.checksum.status == 0",
		"tcp.checksum.status == 0",
		"tcp.analysis.flags",
	} {
		if wrong := tshark(t, path, "-Y", filter); len(wrong) > 0 {
			t.Errorf("%s:\n%s", filter, strings.Join(wrong, "\n"))
		}
	}
	for _, iface := range []string{"client side", "server side", "inner"} {
		if n := len(tshark(t, path, "-Y", `frame.interface_name == "`+iface+`"`)); n == 0 {
			t.Errorf("no packet on interface %q", iface)
		}
	}
	flags := map[string]int{}
	for _, f := range tshark(t, path, "-T", "fields", "-e", "frame.interface_name", "-e", "frame.packet_flags_direction") {
		flags[f]++
	}
	for _, want := range []string{"client side\t0x00000001", "client side\t0x00000002", "server side\t0x00000002", "server side\t0x00000001", "inner\t0x00000001", "inner\t0x00000002"} {
		if flags[want] == 0 {
			t.Errorf("no packet with interface and direction %q: %v", want, flags)
		}
	}
}

func TestTsharkShowsComments(t *testing.T) {
	path := ordinaryFile(t)
	all := strings.Join(tshark(t, path, "-T", "fields", "-e", "frame.comment"), "\n")
	for _, want := range []string{
		"tundump:1 T1 #0 c2s off=0 event=opened client=192.168.1.7:53122 listener=192.168.1.1:8890 upstream=tunnel.example:8890",
		"tundump:1 T1 #0 c2s off=0 event=upstream-connected local=10.0.0.1:40001 remote=10.0.0.5:8890",
		"tundump:1 T1 #1 c2s off=0 len=",
		"pkt=1 id=7",
		"tcpinfo rtt=1.2ms retrans=0 unacked=3 c2s time=1763800000.006172835",
		"blocked 14ms s2c time=",
		"flags=dropped",
		"flags=injected",
		"event=half-closed by=client",
		"twin=1 event=half-closed by=client",
		`event=upstream-refused reason="because \"it\" ended"`,
		`flags=unframed reason="length 542393671 is more than 131072"`,
	} {
		if !strings.Contains(all, want) {
			t.Errorf("no comment has %s", want)
		}
	}
	if t.Failed() {
		t.Log(all)
	}
}

func TestTsharkFollowsTheStream(t *testing.T) {
	path := ordinaryFile(t)
	var lengths []int
	for _, f := range tshark(t, path, "-Y", `tcp.len > 0 && tcp.stream == 1`, "-T", "fields", "-e", "tcp.seq", "-e", "tcp.len") {
		_, l, _ := strings.Cut(f, "\t")
		n, err := strconv.Atoi(l)
		if err != nil {
			t.Fatal(err)
		}
		lengths = append(lengths, n)
	}
	if len(lengths) != 7 { // two twins and an injected one, the large record in four parts
		t.Errorf("the server side of T1 carries %d data packets: %v", len(lengths), lengths)
	}
}

func TestCapinfosAndTcpdump(t *testing.T) {
	path := ordinaryFile(t)
	if info := run(t, "capinfos", "-M", path); !strings.Contains(info, "Number of interfaces in file: 3") {
		t.Error(info)
	}
	lines := strings.Count(run(t, "tcpdump", "-n", "-r", path), "\n")
	if want := len(tshark(t, path)); lines < want {
		t.Errorf("tcpdump prints %d lines, tshark %d", lines, want)
	}
}

// life records one tunnel from its beginning to one of the ends that tunnels
// have, with whatever an interceptor and a slow peer do in between.
func (s *session) life(r *rand.Rand, tunnel uint32) {
	client := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, byte(tunnel >> 8), byte(tunnel)}), uint16(2000+tunnel))
	listener := "10.2.0.1:8890"
	if tunnel%3 == 0 {
		client = netip.AddrPortFrom(netip.MustParseAddr("2001:db8:5::1"), uint16(2000+tunnel))
		listener = "[2001:db8:6::1]:8890"
	}
	s.open(tunnel, client.String(), listener)
	if tunnel%7 == 0 {
		s.end(tunnel, decode.Refused, c2s, decode.Nobody)
		s.end(tunnel, decode.Closed, c2s, decode.Proxy)
		return
	}
	s.connect(tunnel, netip.AddrPortFrom(netip.MustParseAddr("10.3.0.1"), uint16(2000+tunnel)).String(), "10.4.0.1:8890")
	var ended [2]bool
	flags := decode.OnClientSide
	for range r.IntN(30) {
		d := decode.Direction(r.IntN(2))
		switch n := r.IntN(20); {
		case n == 0:
			flags |= decode.OnServerSide
		case n == 1:
			s.offer(decode.Event{Kind: decode.TCPInfo, Tunnel: tunnel, Dir: d, Detail: &decode.Detail{RTT: 5}})
		case n == 2:
			s.offer(decode.Event{Kind: decode.Blocked, Tunnel: tunnel, Dir: d, Detail: &decode.Detail{Wait: 5}})
		case n == 3 && !ended[d]:
			ended[d] = true
			s.halfClose(tunnel, d, decode.Party(1+d))
		case n == 4 && !ended[d]:
			s.record(tunnel, d, decode.OnServerSide|decode.Injected, noise(r, 100))
		case !ended[d]:
			s.record(tunnel, d, flags, noise(r, 1+r.IntN(150_000)))
		}
	}
	by := decode.Party(1 + r.IntN(3))
	if r.IntN(3) == 0 && !ended[0] && !ended[1] {
		s.end(tunnel, decode.Reset, decode.Direction(r.IntN(2)), by)
	}
	s.end(tunnel, decode.Closed, c2s, by)
}

func TestTsharkFindsNothingWrongInManyLives(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lives.pcapng")
	s := newSession(t, Options{Path: path})
	r := rand.New(rand.NewPCG(3, 4))
	for tunnel := range uint32(60) {
		s.life(r, tunnel+1)
	}
	s.close()
	if wrong := tshark(t, path, "-Y", "_ws.malformed || ip.checksum.status == 0 || tcp.checksum.status == 0 || tcp.analysis.flags"); len(wrong) > 0 {
		t.Errorf("%d packets:\n%.3000s", len(wrong), strings.Join(wrong, "\n"))
	}
	if n := len(rows(t, s.rec.Store())); n != len(s.sent) {
		t.Errorf("%d rows of %d", n, len(s.sent))
	}
}

// Tunnels of a source that knows no addresses still become connections.
func TestTsharkTellsUnknownAddressesApart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipes.pcapng")
	s := newSession(t, Options{Path: path})
	for tunnel := uint32(1); tunnel <= 5; tunnel++ {
		s.offer(decode.Event{Kind: decode.Opened, Tunnel: tunnel, Detail: &decode.Detail{}})
		s.offer(decode.Event{Kind: decode.Connected, Tunnel: tunnel})
	}
	for tunnel := uint32(1); tunnel <= 5; tunnel++ {
		s.record(tunnel, c2s, decode.OnClientSide|decode.OnServerSide, []byte("x"))
	}
	s.close()
	streams := map[string]bool{}
	for _, n := range tshark(t, path, "-Y", "!tcp.analysis.flags", "-T", "fields", "-e", "tcp.stream") {
		streams[n] = true
	}
	if len(streams) != 10 {
		t.Errorf("%d connections, want 10", len(streams))
	}
}
