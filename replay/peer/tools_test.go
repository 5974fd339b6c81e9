package peer

import (
	"bufio"
	"context"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"tundump/capture/judge"
	"tundump/replay"
	"tundump/replay/devicetest"
	"tundump/replay/netstack"
)

// reflector is a device whose other end answers echo requests and datagrams,
// each in its turn: the independent client wants its answers in order, which
// no back end that asks real hosts can promise.
func reflector(t testing.TB) replay.Device {
	near, far := devicetest.Pipe(1500)
	done := make(chan struct{})
	go func() {
		defer close(done)
		bufs, sizes := replay.Buffers(1, 1500)
		for {
			if _, err := far.Read(bufs, sizes); err != nil {
				return
			}
			p := bufs[0][:sizes[0]]
			src, dst, ok := endpoints(p)
			if !ok {
				continue
			}
			at, l4 := 12, 20
			if src.Is6() {
				at, l4 = 8, 40
				p[l4]++ // echo request to reply, were it one; its checksum is the client's not to care about
			} else {
				p[l4] = 0
			}
			copy(p[at:], dst.AsSlice())
			copy(p[at+len(dst.AsSlice()):], src.AsSlice())
			if _, err := far.Write([][]byte{p}); err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() { near.Close(); <-done })
	return near
}

// The independent client's scenario: configuration, packets of both families,
// a TCP and a UDP flow.
func TestIndependentClient(t *testing.T) {
	addr := serve(t, &Server{Device: reflector(t), Dial: newOutside(t).dial})
	for _, dialect := range []string{"networkextension", "apple"} {
		for _, dribble := range []string{"0", "7"} {
			cmd := judge.Python(within(t), t, "stpeer.py", "client", "--connect", addr, "--live", "--dialect", dialect, "--dribble", dribble)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%s: %v\n%s", dialect, err, out)
			}
		}
	}
}

// Every hostile scenario of the independent client; the server must serve the
// good one afterwards.
func TestIndependentHostileClient(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	t.Parallel()
	addr := serve(t, &Server{Device: reflector(t), Dial: newOutside(t).dial})
	names := must(judge.Python(within(t), t, "stpeer.py", "chaos-list").Output())(t)
	var cases []string
	for _, line := range strings.Split(string(names), "\n") {
		if f := strings.Fields(line); len(f) == 2 && f[0] != "server" && !strings.HasPrefix(f[1], "vec:") {
			cases = append(cases, f[1])
		}
	}
	out, err := judge.Python(within(t), t, "stpeer.py", "client", "--connect", addr, "--chaos", strings.Join(cases, ",")).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if out, err := judge.Python(within(t), t, "stpeer.py", "client", "--connect", addr, "--live").CombinedOutput(); err != nil {
		t.Fatalf("after the hostile ones: %v\n%s", err, out)
	}
}

// The independent server, which suspends and resumes flows now and then.
func TestIndependentServer(t *testing.T) {
	for _, dialect := range []string{"networkextension", "apple"} {
		t.Run(dialect, func(t *testing.T) {
			ctx, cancel := context.WithCancel(within(t))
			cmd := judge.Python(ctx, t, "stpeer.py", "server", "--listen", "127.0.0.1:0", "--live", "--suspend-every", "60000", "--dialect", dialect)
			pipe := must(cmd.StdoutPipe())(t)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { cancel(); cmd.Wait() })
			line := must(bufio.NewReader(pipe).ReadString('\n'))(t)
			port := regexp.MustCompile(`\d+\)`).FindString(line)
			addr := "127.0.0.1:" + strings.TrimSuffix(port, ")")

			c := NewClient(dialServer(t, addr), ClientConfig{IntegerPort: dialect == "apple"})
			t.Cleanup(func() { c.Close() })
			if a := must(c.FetchConfiguration(ctx))(t); len(a.DNS) != 1 || len(a.Addresses) != 0 {
				t.Fatalf("%+v", a)
			}
			a := must(c.Open(ctx))(t)
			if a.Addresses[0] != netip.MustParsePrefix("192.168.2.2/32") {
				t.Fatalf("%+v", a)
			}
			st := must(netstack.New(netstack.Config{Addresses: append(a.Addresses, netip.MustParsePrefix("2001:db8::2/128"))}))(t)
			carry(t, c, st)
			for _, to := range []string{"8.8.8.8", "2001:4860:4860::8888"} {
				if _, err := st.Ping(ctx, netip.MustParseAddr(to), random(1200)); err != nil {
					t.Error(err)
				}
			}
			u := must(st.DialContext(ctx, "udp", "8.8.8.8:7"))(t)
			echo(t, u, random(1000))
			f := must(c.Dial(ctx, "tcp", "127.0.0.1:7"))(t)
			echo(t, f, random(1<<20))
			f.Close()
			d := must(c.Dial(ctx, "udp", "127.0.0.1:9"))(t)
			echo(t, d, random(4096))
			d.Close()
		})
	}
}

// Every vector that a client could send, each in a tunnel of its own that has
// one connection of each kind, while another tunnel goes on.
func TestVectors(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(judge.Shared(t, "vectors"), "*.bin"))
	if err != nil || len(files) == 0 {
		t.Fatal("no vectors", err)
	}
	more := must(filepath.Glob(filepath.Join(judge.Shared(t, "vectors"), "sandwich", "*.bin")))(t)
	addr := serve(t, ipServer(t, newOutside(t)))
	st, _ := connect(t, addr)
	good := must(st.DialContext(within(t), "tcp", "192.0.2.1:80"))(t)
	for _, file := range append(files, more...) {
		b := must(os.ReadFile(file))(t)
		conn := must(net.Dial("tcp", addr))(t)
		drained := make(chan struct{})
		go func() { // until the server closes
			defer close(drained)
			buf := make([]byte, 4096)
			for {
				if _, err := conn.Read(buf); err != nil {
					return
				}
			}
		}()
		raw := rawPeer{t: t, conn: conn}
		// The identifiers of the vectors' context.
		raw.send(raw.enc.openIP(785859586))
		raw.send(raw.enc.openTCP(844068063, "192.0.2.1", "80", 80))
		raw.send(raw.enc.openUDP(105553177199328))
		// The server may close before all of it is written.
		_, _ = conn.Write(b)
		_ = conn.(*net.TCPConn).CloseWrite()
		<-drained
		conn.Close()
	}
	echo(t, good, random(1<<20))
	if len(files)+len(more) < 271 {
		t.Errorf("only %d vectors", len(files)+len(more))
	}
}
