package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// curl fetches a URL through a SOCKS server, which resolves the name.
func curl(t *testing.T, socks, url string) (string, error) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "curl", "-sS", "--noproxy", "", "--max-time", "30", "--socks5-hostname", socks, url).CombinedOutput()
	return string(out), err
}

func needCurl(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("curl is not installed")
	}
}

// demoServer runs the demo's server, with names, DNS and pages behind it,
// until the test ends.
func demoServer(t *testing.T) string {
	t.Helper()
	world, err := startInternet()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	t.Cleanup(func() {
		cancel()
		wg.Wait()
		if err := world.close(); err != nil {
			t.Error(err)
		}
	})
	addr, err := startDemoServer(ctx, &wg, world)
	if err != nil {
		t.Fatal(err)
	}
	return addr
}

// socksModes are the ways in which SOCKS connections are carried.
var socksModes = [][]string{nil, {"--app-proxy"}, {"--tunnels", "3"}}

// Through our own server, limited to loopback, curl gets a page, and is told
// what is refused and what is not allowed.
func TestSOCKSServe(t *testing.T) {
	needCurl(t)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "through SOCKS") }))
	defer web.Close()
	server := start(t, "serve", "--listen", "127.0.0.1:0", "--allow", "127.0.0.0/8", "--only", "127.0.0.0/8", "--log-level", "error")
	addr := server.wait(t, `serving on (\S+)`)
	for _, mode := range socksModes {
		p := start(t, append([]string{"connect", addr, "--socks", "127.0.0.1:0"}, mode...)...)
		socks := p.wait(t, `SOCKS 5 on (\S+)`)
		for range 4 {
			if got, err := curl(t, socks, web.URL); err != nil || got != "through SOCKS" {
				t.Errorf("%v: %q, %v", mode, got, err)
			}
		}
		if got, err := curl(t, socks, "http://127.0.0.1:1/"); err == nil || !strings.Contains(got, "(5)") { // refused
			t.Errorf("%v: a port where nobody listens: %q, %v", mode, got, err)
		}
		if got, err := curl(t, socks, "http://192.0.2.1/"); err == nil {
			t.Errorf("%v: an address that is not in --only: %q", mode, got)
		}
		p.end(t)
	}
	server.end(t)
}

// Names are resolved by the tunnel's DNS servers, and DNS itself works over an
// association: for dig, to an address and to a name, over IPv4 and IPv6.
func TestSOCKSNames(t *testing.T) {
	needCurl(t)
	addr := demoServer(t)
	for _, mode := range socksModes {
		t.Run(strings.Join(mode, " "), func(t *testing.T) {
			p := start(t, append([]string{"connect", addr, "--socks", "127.0.0.1:0"}, mode...)...)
			socks := p.wait(t, `SOCKS 5 on (\S+)`)
			if got, err := curl(t, socks, "http://"+demoName+"/"); err != nil || got != demoPage {
				t.Errorf("%q, %v", got, err)
			}
			if got, err := curl(t, socks, "http://nowhere.example/"); err == nil || !strings.Contains(got, "(4)") { // host unreachable
				t.Errorf("a name that does not exist: %q, %v", got, err)
			}
			for _, dns := range []string{demoWeb4.String(), demoWeb6.String(), demoName} {
				udp := associate(t, socks, net.JoinHostPort(dns, "53"))
				r := requester{dial: func(context.Context, string, string) (net.Conn, error) { return udp, nil }}
				ctx, cancel := context.WithTimeout(t.Context(), demoCheck)
				if addrs, err := r.lookup(ctx, dns, demoName, dnsmessage.TypeA); err != nil || !slices.Contains(addrs, demoWeb4) {
					t.Errorf("DNS from %s: %v, %v", dns, addrs, err)
				}
				cancel()
			}
			digThrough(t, socks)
			p.end(t)
		})
	}
}

// digThrough has dig ask the demo's DNS server through an association.
func digThrough(t *testing.T, socks string) {
	dig, err := exec.LookPath("dig")
	if err != nil {
		t.Log("dig is not installed")
		return
	}
	local, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer local.Close()
	udp := associate(t, socks, net.JoinHostPort(demoWeb4.String(), "53"))
	var asker net.Addr
	var mu sync.Mutex
	var wg sync.WaitGroup
	defer wg.Wait()
	defer udp.Close()
	defer local.Close()
	wg.Go(func() { // ends with local
		b := make([]byte, 1500)
		for {
			n, from, err := local.ReadFrom(b)
			if err != nil {
				return
			}
			mu.Lock()
			asker = from
			mu.Unlock()
			udp.Write(b[:n])
		}
	})
	wg.Go(func() { // ends with udp
		b := make([]byte, 1500)
		for {
			n, err := udp.Read(b)
			if err != nil {
				return
			}
			mu.Lock()
			local.WriteTo(b[:n], asker)
			mu.Unlock()
		}
	})
	_, port, _ := net.SplitHostPort(local.LocalAddr().String())
	out, err := exec.CommandContext(t.Context(), dig, "@127.0.0.1", "-p", port, "+short", "+noedns", "+nocookie", demoName, "AAAA").CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != demoWeb6.String() {
		t.Errorf("dig: %q, %v", out, err)
	}
}

// udpOverSOCKS is a socket that talks to one destination through an
// association.
type udpOverSOCKS struct {
	net.Conn          // to the relay
	control  net.Conn // the association lives as long as it
	header   []byte   // of what is sent
}

// associate opens an association for a destination, whose host may be a name.
func associate(t *testing.T, socks, to string) net.Conn {
	t.Helper()
	control, err := net.Dial("tcp", socks)
	if err != nil {
		t.Fatal(err)
	}
	control.SetDeadline(time.Now().Add(demoCheck))
	control.Write([]byte{5, 1, 0, 5, 3, 0, 1, 0, 0, 0, 0, 0, 0})
	reply := make([]byte, 12)
	if _, err := io.ReadFull(control, reply); err != nil || !bytes.Equal(reply[:6], []byte{5, 0, 5, 0, 0, 1}) {
		t.Fatalf("associate: % x, %v", reply, err)
	}
	relay := netip.AddrPortFrom(netip.AddrFrom4([4]byte(reply[6:])), binary.BigEndian.Uint16(reply[10:]))
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(relay))
	if err != nil {
		t.Fatal(err)
	}
	host, _, _ := net.SplitHostPort(to)
	header := append([]byte{0, 0, 0, 3, byte(len(host))}, host...)
	if ip := net.ParseIP(host); ip.To4() != nil {
		header = append([]byte{0, 0, 0, 1}, ip.To4()...)
	} else if ip != nil {
		header = append([]byte{0, 0, 0, 4}, ip...)
	}
	u := &udpOverSOCKS{c, control, append(header, 0, 53)}
	t.Cleanup(func() { u.Close() })
	return u
}

func (u *udpOverSOCKS) Write(b []byte) (int, error) {
	_, err := u.Conn.Write(append(u.header[:len(u.header):len(u.header)], b...))
	return len(b), err
}

func (u *udpOverSOCKS) Read(b []byte) (int, error) {
	buf := make([]byte, 2000)
	n, err := u.Conn.Read(buf)
	if err != nil {
		return 0, err
	}
	size := map[byte]int{1: 10, 4: 22}[buf[3]]
	return copy(b, buf[size:n]), nil
}

func (u *udpOverSOCKS) Close() error {
	return errors.Join(ignoreClosed(u.Conn.Close()), ignoreClosed(u.control.Close()))
}

// Without --reconnect the command ends with the tunnel; with it the tunnel
// comes back, and clients are told meanwhile.
func TestSOCKSReconnect(t *testing.T) {
	needCurl(t)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "again") }))
	defer web.Close()
	serve := []string{"serve", "--allow", "127.0.0.0/8", "--only", "127.0.0.0/8", "--log-level", "error", "--listen"}
	server := start(t, append(serve, "127.0.0.1:0")...)
	addr := server.wait(t, `serving on (\S+)`)
	once := start(t, "connect", addr, "--socks", "127.0.0.1:0")
	once.wait(t, `(SOCKS 5) on`)
	for _, mode := range [][]string{{"--app-proxy"}, nil} {
		p := start(t, append([]string{"connect", addr, "--socks", "127.0.0.1:0", "--reconnect"}, mode...)...)
		socks := p.wait(t, `SOCKS 5 on (\S+)`)
		if got, err := curl(t, socks, web.URL); err != nil || got != "again" {
			t.Fatalf("%q, %v", got, err)
		}
		server.end(t)
		p.wait(t, `(the tunnel is down)`)
		if got, err := curl(t, socks, web.URL); err == nil || !strings.Contains(got, "(4)") {
			t.Errorf("without a tunnel: %q, %v", got, err)
		}
		server = start(t, append(serve, addr)...)
		server.wait(t, `(serving on)`)
		p.wait(t, `(the tunnel is up again)`)
		if got, err := curl(t, socks, web.URL); err != nil || got != "again" {
			t.Errorf("with the tunnel again: %q, %v", got, err)
		}
		p.end(t)
	}
	if err := <-once.done; err == nil || !strings.Contains(err.Error(), "connect: peer: the tunnel ended") {
		t.Errorf("without --reconnect: %v", err)
	}
	server.end(t)
}

func TestSOCKSErrors(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	for _, tt := range []struct {
		args string
		code int
		want string
	}{
		{"--socks " + taken.Addr().String(), exitUsage, "address already in use; choose another address"},
		{"--socks nowhere", exitUsage, "--socks nowhere: not an address; write 127.0.0.1:1080"},
		{"--socks :0", exitFailed, "connection refused; is a server listening there?"},
		{"--socks 0 --tunnels 2", exitFailed, "connection refused; is a server listening there?"},
		{"--socks :0 --tunnels 0", exitUsage, "--tunnels 0: want 1 to"},
		{"--socks :0 --get http://x/", exitUsage, "exclude each other"},
		{"--reconnect", exitUsage, "--socks, which is missing"},
	} {
		var stderr bytes.Buffer
		code := run(append([]string{"connect", closed.Addr().String()}, strings.Fields(tt.args)...), nil, io.Discard, &stderr)
		if lines := strings.Count(stderr.String(), "\n"); code != tt.code || lines != 1 || !strings.Contains(stderr.String(), tt.want) {
			t.Errorf("%s: exit code %d, want %d: %s", tt.args, code, tt.code, stderr.String())
		}
	}
}

func TestBackoff(t *testing.T) {
	var b backoff
	for i, want := range []time.Duration{1, 2, 4, 8, 16, 30, 30} {
		want *= time.Second
		if got := b.next(); got < want*4/5 || got >= want*6/5 {
			t.Errorf("wait %d is %s, want %s or a fifth more or less", i, got, want)
		}
	}
}
