package main

import (
	"bufio"
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
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"tundump/capture/judge"
	"tundump/replay/netstack"
	"tundump/replay/peer"
)

// backend is what answers behind a server of a test: names, echoes and a page,
// each at its port of any address.
type backend struct {
	odd      atomic.Bool // host3.test has another address
	dns, udp net.PacketConn
	tcp      net.Listener
	web      net.Listener
	conf     string // a property list; "" for the default
	served   sync.WaitGroup
}

func startBackend(t *testing.T, conf string) *backend {
	t.Helper()
	b := &backend{conf: conf}
	var err error
	listen := func(network string) (p net.PacketConn) {
		if p, err = net.ListenPacket(network, "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		return p
	}
	b.dns, b.udp = listen("udp"), listen("udp")
	for _, ln := range []*net.Listener{&b.tcp, &b.web} {
		if *ln, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
	}
	pages := &http.Server{Handler: http.HandlerFunc(servePage)}
	b.served.Go(func() { pages.Serve(b.web) })
	b.served.Go(func() { b.answer(b.dns, b.name) })
	b.served.Go(func() { b.answer(b.udp, func(q []byte) []byte { return q }) })
	b.served.Go(b.echo)
	t.Cleanup(func() { pages.Close(); b.dns.Close(); b.udp.Close(); b.tcp.Close(); b.served.Wait() })
	return b
}

func (b *backend) answer(pc net.PacketConn, f func([]byte) []byte) {
	buf := make([]byte, 4096)
	for {
		n, from, err := pc.ReadFrom(buf)
		if err != nil {
			return
		}
		if a := f(buf[:n]); a != nil {
			_, _ = pc.WriteTo(a, from) // the test misses an answer that is lost
		}
	}
}

// name answers hostN.test with 192.0.2.N.
func (b *backend) name(q []byte) []byte {
	var m dnsmessage.Message
	var host byte
	if m.Unpack(q) != nil || len(m.Questions) != 1 {
		return nil
	}
	if _, err := fmt.Sscanf(m.Questions[0].Name.String(), "host%d.test.", &host); err != nil {
		return nil
	}
	a := [4]byte{192, 0, 2, host}
	if host == 3 && b.odd.Load() {
		a[0] = 198
	}
	m.Response = true
	m.Answers = []dnsmessage.Resource{{
		Header: dnsmessage.ResourceHeader{Name: m.Questions[0].Name, Class: m.Questions[0].Class, TTL: 60},
		Body:   &dnsmessage.AResource{A: a},
	}}
	out, err := m.Pack()
	if err != nil {
		return nil
	}
	return out
}

func (b *backend) echo() {
	for {
		c, err := b.tcp.Accept()
		if err != nil {
			return
		}
		b.served.Go(func() { defer c.Close(); io.Copy(c, c) })
	}
}

func (b *backend) dial(ctx context.Context, network, address string) (net.Conn, error) {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	to := map[string]net.Addr{"udp53": b.dns.LocalAddr(), "udp7": b.udp.LocalAddr(), "tcp7": b.tcp.Addr(), "tcp80": b.web.Addr()}[network+port]
	if to == nil {
		return nil, &net.DNSError{Err: "no such host", Name: address, IsNotFound: true}
	}
	return new(net.Dialer).DialContext(ctx, network, to.String())
}

// serve starts a server before b, as tundump serve has it.
func (b *backend) serve(t *testing.T) string {
	t.Helper()
	conf := peer.DefaultConfiguration()
	var err error
	if b.conf != "" {
		if conf, err = peer.ReadConfiguration([]byte(b.conf)); err != nil {
			t.Fatal(err)
		}
	}
	dev, err := netstack.New(netstack.Config{
		Addresses: conf.Gateways(),
		Dial: func(ctx context.Context, network string, to netip.AddrPort) (net.Conn, error) {
			return b.dial(ctx, network, to.String())
		},
		Echo: func(context.Context, netip.Addr, []byte) error { return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- (&peer.Server{Configuration: conf, Device: dev, Dial: b.dial}).Serve(ctx, ln) }()
	t.Cleanup(func() { cancel(); <-done })
	return ln.Addr().String()
}

// recordThrough records what use does with a tunnel to a server.
func recordThrough(t *testing.T, server string, fetch bool, use func(ctx context.Context, t *testing.T, c *peer.Client, phone *netstack.Stack)) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "session.pcapng")
	proxy := start(t, "proxy", "--listen", "127.0.0.1:0", "--upstream", server, "-q", "-w", file)
	through := proxy.wait(t, `listening on (\S+),`)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	conn, err := net.Dial("tcp", through)
	if err != nil {
		t.Fatal(err)
	}
	c := peer.NewClient(conn, peer.ClientConfig{})
	if fetch {
		if _, err := c.FetchConfiguration(ctx); err != nil {
			t.Fatal(err)
		}
	}
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
	use(ctx, t, c, phone)
	if err := ignoreClosed(c.Close()); err != nil {
		t.Fatal(err)
	}
	<-carried
	proxy.end(t)
	return file
}

const aiming = "192.0.2.99" // where everything answers

// usePhone pings, asks names and fetches a page.
func usePhone(ctx context.Context, t *testing.T, c *peer.Client, phone *netstack.Stack) {
	for i := range 5 {
		if _, err := phone.Ping(ctx, netip.MustParseAddr(aiming), fmt.Appendf(nil, "ping %d", i)); err != nil {
			t.Fatal(err)
		}
	}
	r := requester{dial: phone.DialContext}
	for i := range 6 {
		if a, err := r.lookup(ctx, aiming+":53", fmt.Sprintf("host%d.test", i), dnsmessage.TypeA); err != nil || len(a) != 1 {
			t.Fatal(a, err)
		}
	}
	if _, err := r.page(ctx, aiming); err != nil {
		t.Fatal(err)
	}
	useEchoes(ctx, t, c, phone)
}

// useEchoes sends datagrams inside packets and in an app-proxy flow.
func useEchoes(ctx context.Context, t *testing.T, c *peer.Client, phone *netstack.Stack) {
	for _, dial := range []func(context.Context, string, string) (net.Conn, error){phone.DialContext, c.Dial} {
		u, err := dial(ctx, "udp", aiming+":7")
		if err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			buf := make([]byte, 100)
			fmt.Fprintf(u, "datagram %d", i)
			if n, err := u.Read(buf); err != nil || string(buf[:n]) != fmt.Sprintf("datagram %d", i) {
				t.Fatal(n, err)
			}
		}
		u.Close()
	}
}

// replayJSON replays and returns the report and the error.
func replayJSON(t *testing.T, args ...string) (jsonReplay, error) {
	t.Helper()
	report := filepath.Join(t.TempDir(), "report.json")
	p := start(t, append([]string{"replay", "--report", "json=" + report}, args...)...)
	var lines []string
	for l := range p.lines {
		lines = append(lines, l)
	}
	err := <-p.done
	var j jsonReplay
	b, rerr := os.ReadFile(report)
	if rerr == nil {
		rerr = json.Unmarshal(b, &j)
	}
	if rerr != nil {
		t.Logf("%v; %v", rerr, err)
	}
	t.Logf("%s\n%s", strings.Join(lines, "\n"), p.stdout.String())
	return j, err
}

// A session that was recorded from one server is the same at a fresh one, at
// every pace.
func TestReplayToServer(t *testing.T) {
	world := startBackend(t, "")
	file := recordThrough(t, world.serve(t), true, usePhone)
	for _, pace := range []string{"answer", "recorded"} {
		again := filepath.Join(t.TempDir(), "again.pcapng")
		j, err := replayJSON(t, file, "--to", world.serve(t), "--pace", pace, "-w", again)
		if err != nil || !j.Same || j.Total != 0 || j.Extra != 0 || j.Answered != j.Expected || j.Expected < 2+5+6+3+4 {
			t.Errorf("--pace %s: %v: %+v", pace, err, j)
		}
		// Recorded again, it lacks the TCP that was left out, and nothing else.
		if out, err := diffed(t, file, again); exitCode(err) != 1 || !strings.Contains(out, "! missing: packet 23\n    recorded  10.8.0.2 > 192.0.2.99 TCP") || !strings.Contains(out, "\ndifferences     1 ") {
			t.Errorf("diff: %v\n%s", err, out)
		}
	}
	t.Run("TwoChanges", func(t *testing.T) {
		file := recordThrough(t, world.serve(t), false, usePhone)
		other := startBackend(t, plistWith(`<key>DNS</key><dict><key>Servers</key><array><string>10.8.0.1</string><string>fd00:8::1</string></array><key>SearchDomains</key><array><string>changed.test</string></array></dict>`))
		other.odd.Store(true)
		junit := filepath.Join(t.TempDir(), "junit.xml")
		again := filepath.Join(t.TempDir(), "again.pcapng")
		j, err := replayJSON(t, file, "--to", other.serve(t), "--pace", "answer", "--report", "junit="+junit, "--tunnel", "1", "-w", again)
		if out, err := diffed(t, file, again); exitCode(err) != 1 || !strings.Contains(out, `DNS.SearchDomains: recorded [], now ["changed.test"]`) || !strings.Contains(out, "dns.a: recorded 192.0.2.3, now 198.0.2.3") {
			t.Errorf("diff: %v\n%s", err, out)
		}
		if err == nil || exitCode(err) != 1 {
			t.Errorf("exit %d: %v", exitCode(err), err)
		}
		var fields []string
		for _, d := range j.Differences {
			for _, f := range d.Fields {
				fields = append(fields, f.Name+" "+f.Recorded+" > "+f.Live)
			}
		}
		want := []string{
			`tunnel.configuration.DNS.SearchDomains [] > ["changed.test"]`,
			"dns.a 192.0.2.3 > 198.0.2.3",
		}
		if strings.Join(fields, "\n") != strings.Join(want, "\n") || int(j.Total) != len(want) {
			t.Errorf("differences:\n%s\nwant\n%s", strings.Join(fields, "\n"), strings.Join(want, "\n"))
		}
		var suite junitSuite
		b, err := os.ReadFile(junit)
		if err == nil {
			err = xml.Unmarshal(b, &suite)
		}
		if err != nil || suite.Failures != int64(len(want)) {
			t.Errorf("junit: %v: %d failures", err, suite.Failures)
		}
	})
}

// diffed compares two captures.
func diffed(t *testing.T, a, b string) (out string, err error) {
	t.Helper()
	p := start(t, "diff", a, b)
	for range p.lines {
	}
	err = <-p.done
	return p.stdout.String(), err
}

// plistWith is the default configuration with something in addition.
func plistWith(more string) string {
	pool := func(family, from, to string) string {
		return fmt.Sprintf("<key>%s</key><dict><key>Pool</key><dict><key>StartAddress</key><string>%s</string><key>EndAddress</key><string>%s</string></dict></dict>", family, from, to)
	}
	return `<?xml version="1.0"?><plist version="1.0"><dict>` + pool("IPv4", "10.8.0.50", "10.8.255.255") + pool("IPv6", "fd00:8::50", "fd00:8::1:0") + more + "</dict></plist>"
}

// The independent server answers the same.
func TestReplayToIndependentServer(t *testing.T) {
	cmd := judge.Python(t.Context(), t, "stpeer.py", "server", "--listen", "127.0.0.1:0", "--live")
	conf := `<?xml version="1.0"?><plist version="1.0"><dict>
		<key>IPv4</key><dict><key>Pool</key><dict><key>StartAddress</key><string>192.168.2.2</string><key>EndAddress</key><string>192.168.2.10</string></dict></dict>
		<key>DNS</key><dict><key>Servers</key><array><string>192.168.43.1</string></array><key>SearchDomains</key><array/></dict></dict></plist>`
	file := recordThrough(t, startBackend(t, conf).serve(t), true, func(ctx context.Context, t *testing.T, c *peer.Client, phone *netstack.Stack) {
		if _, err := phone.Ping(ctx, netip.MustParseAddr(aiming), []byte("ping")); err != nil {
			t.Fatal(err)
		}
		useEchoes(ctx, t, c, phone)
	})
	pipe, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { cmd.Process.Kill(); cmd.Wait() }()
	line, err := bufio.NewReader(pipe).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	port := strings.TrimSuffix(regexp.MustCompile(`\d+\)`).FindString(line), ")")
	j, err := replayJSON(t, file, "--to", "127.0.0.1:"+port, "--pace", "answer")
	if err != nil || !j.Same || j.Answered != j.Expected || j.Expected < 2+1+3+4 {
		t.Errorf("%v: %+v", err, j)
	}
}

// Servers that refuse, close, say nothing or talk nonsense.
func TestReplayToBadServer(t *testing.T) {
	world := startBackend(t, "")
	file := recordThrough(t, world.serve(t), true, useEchoes)
	for name, c := range map[string]struct {
		answer string // to whatever comes first; then it closes, unless it is silent
		silent bool
		want   string
	}{
		"Closes":  {want: "the server closed the connection"},
		"Silent":  {silent: true, want: "no answer to Open of the IP connection within 300ms"},
		"Garbage": {answer: "HTTP/1.1 400 Bad Request\r\n\r\n", want: "the tunnel ended: frame: "},
	} {
		t.Run(name, func(t *testing.T) {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer ln.Close()
			go func() {
				for {
					c1, err := ln.Accept()
					if err != nil {
						return
					}
					if c.silent {
						defer c1.Close()
						continue
					}
					_, _ = c1.Read(make([]byte, 1))
					_, _ = io.WriteString(c1, c.answer)
					c1.(*net.TCPConn).CloseWrite()
				}
			}()
			j, err := replayJSON(t, file, "--to", ln.Addr().String(), "--pace", "top", "--timeout", "300ms", "--wait", "100ms")
			if exitCode(err) != 1 || !strings.Contains(err.Error(), c.want) || j.Same {
				t.Errorf("exit %d: %v", exitCode(err), err)
			}
		})
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- new(peer.Server).Serve(ctx, ln) }() // without a device it refuses
	j, err := replayJSON(t, file, "--to", ln.Addr().String(), "--pace", "answer")
	if exitCode(err) != 1 || !strings.Contains(err.Error(), "the server answered internalError") || j.Sent == 0 || j.Changed == 0 {
		t.Errorf("exit %d: %v", exitCode(err), err)
	}
	cancel()
	<-done
	if _, err := replayJSON(t, file, "--to", ln.Addr().String()); exitCode(err) != 1 || !strings.Contains(err.Error(), "cannot reach") {
		t.Error(err)
	}
	bare := filepath.Join(t.TempDir(), "bare.pcapng")
	if p := start(t, "export", file, "-w", bare); <-p.done != nil {
		t.Fatal("export failed")
	}
	if _, err := replayJSON(t, bare, "--to", "127.0.0.1:1"); exitCode(err) != 2 || !strings.Contains(err.Error(), "packets without a tunnel") {
		t.Error(err)
	}
}

func exitCode(err error) int {
	switch ue := (usageError{}); {
	case err == nil:
		return 0
	case errors.As(err, &ue):
		return exitUsage
	}
	return exitFailed
}

// What the demo recorded, pages, names, a bulk transfer and app-proxy flows,
// is the same at a fresh server, every byte of it.
func TestReplayFlows(t *testing.T) {
	file := filepath.Join(t.TempDir(), "demo.pcapng")
	if p := start(t, "demo", "--no-tui", "-q", "-w", file); <-p.done != nil {
		t.Fatal("the demo failed")
	}
	world, err := startInternet()
	if err != nil {
		t.Fatal(err)
	}
	defer world.close()
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	addr, err := startDemoServer(ctx, &wg, world)
	if err != nil {
		t.Fatal(err)
	}
	// As packets and messages: all but the inner TCP.
	j, err := replayJSON(t, file, "--to", addr, "--pace", "answer")
	if err != nil || !j.Same || j.Flows != 0 || j.Answered != j.Expected {
		t.Errorf("without --flows: %v: %+v", err, j)
	}
	again := filepath.Join(t.TempDir(), "again.pcapng")
	j, err = replayJSON(t, file, "--to", addr, "--flows", "--pace", "answer", "-w", again)
	if err != nil || !j.Same || j.Flows != 4 || j.FlowsSame != 4 || j.FlowBytes[0] < demoBulk || j.FlowBytes[1] < demoBulk || j.Answered != j.Expected || j.Expected < 3 {
		t.Errorf("%v: %+v", err, j)
	}
	if out, err := diffed(t, file, again); err != nil || !strings.Contains(out, "flows           4  ") {
		t.Errorf("diff: %v\n%s", err, out)
	}
}
