package main

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sys/unix"

	"tundump/capture/pcapng"
	"tundump/replay/netstack"
	"tundump/replay/peer"
)

// TestReplayTUN plays a session, recorded from a live server with a device, in
// a namespace that has no link to anything.
func TestReplayTUN(t *testing.T) {
	program := needLab(t)
	r := record4Replay(t, program)
	for name, f := range map[string]func(*testing.T, *recordedSession, *lab){
		"Same": replaySame, "Drops": replayDrops, "OneChange": replayOneChange, "Bytes": replayBytes, "Mapped": replayMapped, "Assigned": replayAssigned,
		"ServerSide": replayServerSide, "Large": replayLarge, "Loops": replayLoops, "Refused": replayRefused, "Down": replayDown, "Signals": replaySignals,
	} {
		t.Run(name, func(t *testing.T) {
			l := newHost(t, program)
			before := l.state(t, "host")
			f(t, r, l)
			same(t, before, l.state(t, "host"))
		})
	}
}

// newHost is one host without any link.
func newHost(t *testing.T, program string) *lab {
	t.Helper()
	l := &lab{prefix: fmt.Sprintf("tdr%d-%d-", os.Getpid(), time.Now().UnixNano()%1e6), program: program, run: t.TempDir()}
	writeFile(t, filepath.Join(l.run, "resolv.conf"), "nameserver 127.0.0.1\n")
	l.must(t, "ip", "netns", "add", l.prefix+"host")
	t.Cleanup(func() { l.must(t, "ip", "netns", "del", l.prefix+"host") })
	l.on(t, "host", "ip", "link", "set", "lo", "up")
	return l
}

// responder is what answers behind the device.
type responder struct{ odd atomic.Int32 } // host<odd>.test has another address

const noneOdd = -1

func (l *lab) respond(t *testing.T) *responder {
	t.Helper()
	r := new(responder)
	r.odd.Store(noneOdd)
	dns := in(t, l, "host", func() (net.PacketConn, error) { return net.ListenPacket("udp", ":53") })
	ln := in(t, l, "host", func() (net.Listener, error) { return net.Listen("tcp", ":80") })
	web := &http.Server{Handler: http.HandlerFunc(servePage)}
	go web.Serve(ln)      // until Close
	go r.answerNames(dns) // until Close
	t.Cleanup(func() { dns.Close(); web.Close() })
	return r
}

func (r *responder) answerNames(dns net.PacketConn) {
	buf := make([]byte, 1500)
	for {
		n, from, err := dns.ReadFrom(buf)
		if err != nil {
			return
		}
		var m dnsmessage.Message
		if m.Unpack(buf[:n]) != nil || len(m.Questions) != 1 {
			continue
		}
		var host int32
		if _, err := fmt.Sscanf(m.Questions[0].Name.String(), "host%d.test.", &host); err != nil {
			continue
		}
		a := [4]byte{192, 0, 2, byte(host)}
		if host == r.odd.Load() {
			a[0] = 198
		}
		m.Response = true
		m.Answers = append(m.Answers, dnsmessage.Resource{
			Header: dnsmessage.ResourceHeader{Name: m.Questions[0].Name, Class: m.Questions[0].Class, TTL: uint32(time.Now().UnixNano() % 1000)},
			Body:   &dnsmessage.AResource{A: a},
		})
		if b, err := m.Pack(); err == nil {
			_, _ = dns.WriteTo(b, from) // the test misses an answer that is lost
		}
	}
}

// recordedSession is a capture of the proxy's: pings, names and pages.
type recordedSession struct {
	file  string
	sent  [][]byte // the client's packets
	asked int      // those with an answer
	dns   int
}

const (
	recordedPings = 150
	recordedNames = 100
	recordedPages = 5
)

func record4Replay(t *testing.T, program string) *recordedSession {
	t.Helper()
	l := newHost(t, program)
	l.respond(t)
	r := &recordedSession{file: filepath.Join(t.TempDir(), "recorded.pcapng"), asked: 2*recordedPings + recordedNames + recordedPages, dns: recordedNames}
	server := l.start(t, "host", "serve", "--listen", "127.0.0.1:8890", "--tun", "--config", labConfig(t, "10.8.0.100", ""), "--log-level", "warn")
	server.wait(t, `serving on (\S+),`)
	proxy := l.start(t, "host", "proxy", "--listen", "127.0.0.1:8891", "--upstream", "127.0.0.1:8890", "-q", "-w", r.file)
	proxy.wait(t, `listening on (\S+),`)
	conn, err := l.dialFrom("host", "tcp", "127.0.0.1:8891")
	if err != nil {
		t.Fatal(err)
	}
	useTunnel(t, conn)
	proxy.end(t)
	server.end(t)
	r.read(t)
	return r
}

// useTunnel is a phone with a tunnel.
func useTunnel(t *testing.T, conn net.Conn) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c := peer.NewClient(conn, peer.ClientConfig{})
	assigned, err := c.Open(ctx)
	if err != nil {
		t.Fatal(err)
	}
	phone, err := netstack.New(netstack.Config{Addresses: assigned.Addresses})
	if err != nil {
		t.Fatal(err)
	}
	carried := make(chan error, 1)
	go func() { carried <- c.Carry(ctx, phone) }() // until the client is closed
	for _, to := range []string{"10.8.0.1", "fd00:8::1"} {
		for i := range recordedPings {
			if _, err := phone.Ping(ctx, netip.MustParseAddr(to), fmt.Appendf(nil, "ping %d", i)); err != nil {
				t.Fatal(err)
			}
		}
	}
	req := requester{dial: phone.DialContext}
	for i := range recordedNames {
		a, err := req.lookup(ctx, "10.8.0.1:53", fmt.Sprintf("host%d.test", i), dnsmessage.TypeA)
		if err != nil || len(a) != 1 {
			t.Fatal(a, err)
		}
	}
	for range recordedPages {
		if _, err := req.page(ctx, "10.8.0.1"); err != nil {
			t.Fatal(err)
		}
	}
	if err := ignoreClosed(c.Close()); err != nil {
		t.Fatal(err)
	}
	<-carried
}

// read notes what the client sent.
func (r *recordedSession) read(t *testing.T) {
	t.Helper()
	r.sent = sentIn(t, r.file)
	if len(r.sent) < r.asked {
		t.Fatalf("%d packets of the client are recorded", len(r.sent))
	}
}

// replayed runs a replay to its end.
func (l *lab) replayed(t *testing.T, args ...string) (j jsonReplay, code int, out string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "report.json")
	p := l.start(t, "host", append([]string{"replay", "--report", "json=" + file}, args...)...)
	var said strings.Builder
	for line := range p.lines {
		said.WriteString(line + "\n")
	}
	exit := (*exec.ExitError)(nil)
	if err := <-p.done; errors.As(err, &exit) {
		code = exit.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	out = said.String() + p.stdout.String()
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the report: %v, %v\n%s", info, err, out)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &j); err != nil {
		t.Fatal(err)
	}
	return j, code, out
}

// Everything is answered as it was, by either driver, and what was sent and
// came is a capture of which the same can be said.
func replaySame(t *testing.T, r *recordedSession, l *lab) {
	l.respond(t)
	again := filepath.Join(t.TempDir(), "again.pcapng")
	for _, more := range [][]string{{"--tun", "-x", "20", "-w", again}, {"--tun", "-t", "--tun-driver", driverWireGuard}} {
		j, code, out := l.replayed(t, append(more, r.file)...)
		if code != 0 || !j.Same || j.Answered != int64(r.asked) || j.Sent != int64(len(r.sent)) || j.Refused != 0 {
			t.Errorf("%v: exit %d, %+v\n%s", more, code, j, out)
		}
		t.Log(out)
	}
	sameBytes(t, sentIn(t, again), r.sent)
	if _, err := exec.LookPath("tshark"); err == nil {
		out := l.must(t, "tshark", "-r", again, "-Y", "dns.flags.response == 0")
		if n := strings.Count(out, "Standard query "); n != r.dns {
			t.Errorf("tshark sees %d queries", n)
		}
	}
	// A connection that is half open keeps its host from answering the same
	// SYN again: without TCP it can be played over and over.
	if j, code, out := l.replayed(t, "--tun", r.file, "-t", "-l", "3", "-Y", "!tcp"); code != 0 || j.Answered != int64(3*(r.asked-recordedPages)) {
		t.Errorf("three times: exit %d, %+v\n%s", code, j, out)
	}
	if err := <-l.start(t, "host", "diff", r.file, again, "--ignore", "tcp.payload").done; err != nil {
		t.Error("diff:", err)
	}
}

// What a rule drops is what the report misses.
func replayDrops(t *testing.T, r *recordedSession, l *lab) {
	l.respond(t)
	for _, rule := range []string{
		"add table inet lossy", "add counter inet lossy drops", "add chain inet lossy in { type filter hook input priority 0; }",
		`add rule inet lossy in iifname "lossy0" meta l4proto { icmp, udp } numgen random mod 100 < 5 counter name drops drop`,
	} {
		l.on(t, "host", "nft", rule)
	}
	j, code, out := l.replayed(t, "--tun=lossy0", "-x", "20", "--wait", "500ms", r.file)
	counter := l.on(t, "host", "nft", "-j", "list", "counter", "inet", "lossy", "drops")
	l.on(t, "host", "nft", "delete", "table", "inet", "lossy")
	var n struct {
		NFTables []struct{ Counter struct{ Packets int64 } }
	}
	if err := json.Unmarshal([]byte(counter), &n); err != nil {
		t.Fatal(err)
	}
	dropped := int64(0)
	for _, c := range n.NFTables {
		dropped += c.Counter.Packets
	}
	if code != 1 || dropped == 0 || j.Unanswered != dropped || j.Changed+j.Extra != 0 || j.Answered+dropped != int64(r.asked) {
		t.Errorf("exit %d, %d dropped, %+v\n%s", code, dropped, j, out)
	}
	t.Logf("the rule dropped %d of %d, the report misses %d", dropped, r.asked, j.Unanswered)
}

// One changed answer is one difference, with its name.
func replayOneChange(t *testing.T, r *recordedSession, l *lab) {
	l.respond(t).odd.Store(7)
	junit := filepath.Join(t.TempDir(), "report.xml")
	j, code, out := l.replayed(t, r.file, "--tun", "-x", "20", "--report", "junit="+junit)
	if code != 1 || j.Total != 1 || j.Changed != 1 || j.Unanswered != 0 {
		t.Fatalf("exit %d, %+v\n%s", code, j, out)
	}
	d := j.Differences[0]
	if want := (jsonField{"dns.a", "192.0.2.7", "198.0.2.7"}); d.Kind != "changed" || len(d.Fields) != 1 || d.Fields[0] != want || !strings.Contains(d.Live, "host7.test") {
		t.Errorf("%+v", d)
	}
	if !strings.Contains(out, "dns.a: recorded 192.0.2.7, now 198.0.2.7") || !strings.Contains(out, "tundump: replay: 1 changed") {
		t.Error(out)
	}
	b, err := os.ReadFile(junit)
	if err != nil {
		t.Fatal(err)
	}
	var suite junitSuite
	if err := xml.Unmarshal(b, &suite); err != nil || suite.Failures != 1 || !strings.Contains(string(b), "dns.a") {
		t.Errorf("%v\n%s", err, b)
	}
	for _, allowed := range [][]string{{"--ignore", "dns.a"}, {"--match", `dns.a=^19[28]\.0\.2\.`}} {
		if j, code, out := l.replayed(t, append(allowed, r.file, "--tun", "-x", "20")...); code != 0 || j.Total != 0 {
			t.Errorf("%v: exit %d\n%s", allowed, code, out)
		}
	}
}

// watched replays while tcpdump looks at the device, and returns what it saw
// coming in.
func (l *lab) watched(t *testing.T, r *recordedSession, args ...string) [][]byte {
	t.Helper()
	if _, err := exec.LookPath("tcpdump"); err != nil {
		t.Skip("tcpdump is not installed")
	}
	keys, press, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer press.Close()
	cmd := exec.CommandContext(t.Context(), "ip", append([]string{"netns", "exec", l.prefix + "host", l.program, "replay", r.file, "--tun=seen0", "-o"}, args...)...)
	cmd.Stdin = keys
	cmd.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+l.run)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	keys.Close()
	waitFor(t, stderr, "press a key")
	file := filepath.Join(t.TempDir(), "seen.pcap")
	dump := exec.CommandContext(t.Context(), "ip", "netns", "exec", l.prefix+"host", "tcpdump", "-i", "seen0", "-Q", "in", "-U", "--immediate-mode", "-B", "32768", "-Z", "root", "-w", file)
	told, err := dump.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := dump.Start(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, told, "listening on")
	said := make(chan []byte)
	go func() { // until the program ends
		b, _ := io.ReadAll(stderr) // what was read is what is shown
		said <- b
	}()
	// tcpdump drops what comes faster than it writes: a few at a time.
	for n := 0; n < len(r.sent); {
		more := min(8, len(r.sent)-n)
		n += more
		if _, err := press.Write(make([]byte, more)); err != nil {
			t.Fatal(err)
		}
		for len(rawPackets(t, file)) < n {
			if t.Context().Err() != nil || cmd.ProcessState != nil {
				t.Fatal("the packets do not come")
			}
			time.Sleep(time.Millisecond)
		}
	}
	text := <-said
	if err := cmd.Wait(); err != nil {
		t.Logf("the replay: %v\n%s", err, text)
	}
	// The device is gone, and with it tcpdump's work.
	summary, err := io.ReadAll(told)
	if err != nil {
		t.Fatal(err)
	}
	if err := dump.Wait(); err != nil {
		t.Logf("tcpdump: %v\n%s", err, summary)
	}
	return rawPackets(t, file)
}

func waitFor(t *testing.T, r io.Reader, text string) {
	t.Helper()
	var said []byte
	buf := make([]byte, 1)
	for !strings.Contains(string(said), text) {
		n, err := r.Read(buf)
		if err != nil {
			t.Fatalf("no %q in %q: %v", text, said, err)
		}
		said = append(said, buf[:n]...)
	}
}

// rawPackets returns the packets of a capture of link type RAW.
func rawPackets(t *testing.T, file string) (list [][]byte) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := pcapng.NewReader(f)
	var b pcapng.Block
	var p pcapng.Packet
	for {
		err := r.Next(&b)
		if err == io.EOF || errors.As(err, new(*pcapng.DamageError)) || errors.Is(err, pcapng.ErrFormat) {
			return list // it is being written
		}
		if err != nil {
			t.Fatal(err)
		}
		if b.IsPacket() && b.Packet(&p) == nil {
			list = append(list, append([]byte(nil), p.Data...))
		}
	}
}

// The device sees exactly what was recorded.
func replayBytes(t *testing.T, r *recordedSession, l *lab) {
	l.respond(t)
	sameBytes(t, l.watched(t, r), r.sent)
}

func sameBytes(t *testing.T, got, want [][]byte) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%d packets were seen, %d sent", len(got), len(want))
	}
	for i := range min(len(got), len(want)) {
		if string(got[i]) != string(want[i]) {
			t.Fatalf("packet %d of the client's:\n%x, want\n%x", i+1, got[i], want[i])
		}
	}
}

// And with a map, that with other addresses and everything else as it was.
func replayMapped(t *testing.T, r *recordedSession, l *lab) {
	l.respond(t)
	var want [][]byte
	for _, p := range r.sent {
		want = append(want, moved(p))
	}
	sameBytes(t, l.watched(t, r, "--map", "10.8.0.0/24=10.77.5.0/24"), want)
	j, code, out := l.replayed(t, r.file, "--tun", "-x", "20", "--map", "10.8.0.0/24=10.77.5.0/24", "--ttl", "9", "--new-ids")
	if code != 0 || j.Answered != int64(r.asked) {
		t.Errorf("exit %d, %+v\n%s", code, j, out)
	}
}

// The recorded address of the device's end becomes the one that it has.
func replayAssigned(t *testing.T, r *recordedSession, l *lab) {
	l.respond(t)
	j, code, out := l.replayed(t, r.file, "--tun", "-x", "20", "--assigned", "--address", "10.99.0.1/24", "-Y", "ip")
	if code != 0 || j.Answered != int64(r.asked-recordedPings) || !strings.Contains(out, "to 10.99.0.1 (") {
		t.Errorf("exit %d, %+v\n%s", code, j, out)
	}
}

// moved changes the addresses of an IPv4 packet and computes its checksums
// anew, in the slow obvious way.
func moved(p []byte) []byte {
	p = append([]byte(nil), p...)
	if p[0]>>4 != 4 {
		return p
	}
	for _, at := range []int{12, 16} {
		if string(p[at:at+3]) == "\x0a\x08\x00" {
			copy(p[at:], []byte{10, 77, 5})
		}
	}
	header := int(p[0]&15) * 4
	put := func(at int, parts ...[]byte) {
		p[at], p[at+1] = 0, 0
		var all []byte
		for _, b := range parts {
			all = append(all, b...)
		}
		sum := 0
		for i, c := range all {
			sum += int(c) << (8 * (1 - i%2))
		}
		for sum > 0xffff {
			sum = sum>>16 + sum&0xffff
		}
		p[at], p[at+1] = byte(^sum>>8), byte(^sum)
	}
	put(10, p[:header])
	body := p[header:]
	pseudo := append(append([]byte(nil), p[12:20]...), 0, p[9], byte(len(body)>>8), byte(len(body)))
	switch p[9] {
	case 6:
		put(header+16, pseudo, body)
	case 17:
		if p[header+6] != 0 || p[header+7] != 0 {
			put(header+6, pseudo, body)
		}
	}
	return p
}

// The other way round the host is the client, which asks nothing: what the
// server sent was all in answer.
func replayServerSide(t *testing.T, r *recordedSession, l *lab) {
	j, code, out := l.replayed(t, r.file, "--tun", "--dir", "s2c", "-t", "--wait", "100ms", "-Y", "icmp || icmpv6")
	if code != 0 || j.Sent != 2*recordedPings || j.Expected != 0 || !strings.Contains(out, "none expected") {
		t.Errorf("exit %d, %+v\n%s", code, j, out)
	}
}

// Each is one line, and changes nothing.
func replayRefused(t *testing.T, r *recordedSession, l *lab) {
	refused := func(code int, says string, args ...string) {
		t.Helper()
		p := l.start(t, "host", append([]string{"replay"}, args...)...)
		var last string
		for line := range p.lines {
			last = line
		}
		exit := (*exec.ExitError)(nil)
		if err := <-p.done; !errors.As(err, &exit) || exit.ExitCode() != code || !strings.Contains(last, says) || !strings.HasPrefix(last, "tundump: ") {
			t.Errorf("%v: %v, %s; want exit code %d and %q", args, err, last, code, says)
		}
	}
	bare := filepath.Join(t.TempDir(), "bare.pcap")
	l.must(t, l.program, "export", r.file, "-w", bare, "-F", "pcap")
	refused(2, "--address 10.8.0.1/24", bare, "--tun")
	refused(2, "would go to 1 destination outside 10.9.0.1/24, most of them to", r.file, "--tun", "--address", "10.9.0.1/24", "--route", "10.8.0.2", "-Y", "ip")
	refused(2, "into what?", r.file)
	refused(2, "choose", r.file, "--tun", "-t", "-x", "2")
	refused(2, "choose", r.file, "--tun", "--netstack")
	refused(2, "nothing is left", r.file, "--tun", "-Y", "tcp.port == 1")
	refused(2, "--dir both", r.file, "--tun", "--dir", "both")
	refused(2, "there is no field", r.file, "--tun", "--ignore", "dns.b")
	refused(2, "no such file", "absent.pcapng", "--tun")
	refused(2, "15 is the limit", r.file, "--tun=a-name-that-is-too-long")
	refused(2, "exists already", r.file, "--tun=lo")
	refused(2, "report", r.file, "--tun", "--report", "html=x")
	empty := filepath.Join(t.TempDir(), "empty.pcap")
	writeFile(t, empty, "\xd4\xc3\xb2\xa1\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x04\x00\x01\x00\x00\x00")
	refused(2, "there are no packets in it", empty, "--tun")
	// Nobody is there who answers: all are missing, and it says what to look at.
	refused(1, "nothing came back", r.file, "--tun", "--wait", "100ms", "-t", "-Y", "dns", "--map", "10.8.0.1=10.8.0.9", "--address", "10.8.0.1/24")
}

// A device that goes down takes nothing, which is no success.
func replayDown(t *testing.T, r *recordedSession, l *lab) {
	p := l.start(t, "host", "replay", r.file, "--tun=down0", "-x", "0.001", "--maxsleep", "5ms", "-l", "0", "--wait", "10ms", "--stats", "0.1")
	p.wait(t, `device (down0) is up`)
	l.on(t, "host", "ip", "link", "set", "down0", "down")
	for range 3 { // more is sent from here on
		p.wait(t, `(sent) in`)
	}
	p.stop()
	exit := (*exec.ExitError)(nil)
	var last string
	for line := range p.lines {
		last = line
	}
	if err := <-p.done; !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(last, "not taken by the device") && !strings.Contains(last, "took none") {
		t.Errorf("%v, %s", err, last)
	}
}

// SIGUSR1 pauses, SIGCONT goes on.
func replaySignals(t *testing.T, r *recordedSession, l *lab) {
	l.respond(t)
	p := l.start(t, "host", "replay", r.file, "--tun=held0", "-p", "300", "--stats", "0.2")
	p.wait(t, `packets?, .* (sent) in`) // it heeds signals from the first packet on
	if err := p.cmd.Process.Signal(unix.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	sent := func() string { return p.wait(t, `(\d+) packets?, .* sent in`) }
	for last := ""; ; { // what it does not send while two lines are printed, it does not send
		now := sent()
		if now == last {
			break
		}
		last = now
	}
	if held := sent(); held == fmt.Sprint(len(r.sent)) {
		t.Log("it was over before the signal came")
	}
	if err := p.cmd.Process.Signal(unix.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if err := <-p.done; err != nil {
		t.Errorf("%v\n%s", err, p.stdout.String())
	}
	if !strings.Contains(p.stdout.String(), fmt.Sprintf("%d packets", len(r.sent))) {
		t.Error(p.stdout.String())
	}
}
