package peer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	"tundump/decode"
	"tundump/decode/frame"
	"tundump/replay/devicetest"
)

// rawPeer is a client of single messages.
type rawPeer struct {
	t    testing.TB
	conn net.Conn
	enc  encoder
	buf  []byte
	m    decode.Message
}

func newRaw(t testing.TB, addr string) *rawPeer {
	conn := dialServer(t, addr)
	conn.SetDeadline(time.Now().Add(60 * time.Second))
	return &rawPeer{t: t, conn: conn}
}

// send writes a record that an encoder made.
func (p *rawPeer) send(rec []byte, err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
	if _, err := p.conn.Write(rec); err != nil {
		p.t.Fatal(err)
	}
}

// next returns the next message, nil at the end of the stream.
func (p *rawPeer) next() *decode.Message {
	p.t.Helper()
	for {
		n, err := frame.Cut(p.buf, frame.MaxLen)
		if err != nil {
			p.t.Fatal(err)
		}
		if n > 0 {
			rec := bytes.Clone(p.buf[:n])
			p.buf = p.buf[n:]
			if err := p.m.Decode(decode.Event{Kind: decode.Record, Dir: decode.ServerToClient, Raw: rec}); err != nil {
				p.t.Fatal(err, p.m.Problems)
			}
			return &p.m
		}
		b := make([]byte, 64<<10)
		n, err = p.conn.Read(b)
		p.buf = append(p.buf, b[:n]...)
		if n == 0 && err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				p.t.Fatal("nothing came: ", err)
			}
			return nil
		}
	}
}

// want reads a message of that command and identifier.
func (p *rawPeer) want(cmd decode.Command, id int64) *decode.Message {
	p.t.Helper()
	m := p.next()
	if m == nil {
		p.t.Fatalf("the tunnel ended instead of %s", cmd)
	}
	if m.Command != cmd || m.Identifier != id {
		p.t.Fatalf("got %s %d, want %s %d", m.Command, m.Identifier, cmd, id)
	}
	return m
}

func (p *rawPeer) wantResult(id int64, code int64) *decode.Message {
	p.t.Helper()
	m := p.want(decode.OpenResult, id)
	if got, ok := m.Int(decode.KeyResultCode); got != code || !ok {
		p.t.Fatalf("result %d, want %d", got, code)
	}
	return m
}

func (p *rawPeer) wantClose(id int64, how int64) {
	p.t.Helper()
	if got, _ := p.want(decode.Close, id).Int(decode.KeyCloseType); got != how {
		p.t.Fatalf("close %d, want %d", got, how)
	}
}

func (p *rawPeer) wantEnd() {
	p.t.Helper()
	if m := p.next(); m != nil {
		p.t.Fatalf("got %s %d, want the end of the tunnel", m.Command, m.Identifier)
	}
}

// alive checks that the tunnel still answers, and nothing else came.
func (p *rawPeer) alive() {
	p.t.Helper()
	p.send(p.enc.plain(decode.FetchConfiguration, 5))
	m := p.want(decode.FetchConfiguration, 0)
	if c := m.Configuration(); c.Get("IPv4").Exists() || c.Get("IPv6").Exists() || !c.Get("DNS").Exists() {
		p.t.Fatal("the configuration has addresses, or no DNS")
	}
}

// message encodes any pairs, for what encoder does not make.
func (p *rawPeer) message(cmd decode.Command, pairs ...any) ([]byte, error) {
	d := map[string]any{"command": int64(cmd)}
	for i := 0; i < len(pairs); i += 2 {
		d[pairs[i].(string)] = pairs[i+1]
	}
	p.enc.w.Reset()
	root, err := describe(&p.enc.w, d)
	if err != nil {
		return nil, err
	}
	rec, err := p.enc.w.Append(frame.Reserve(nil), root)
	if err != nil {
		return nil, err
	}
	return rec, frame.PutLength(rec, 0)
}

func smallPool(t testing.TB) *Configuration {
	return must(ReadConfiguration([]byte(`<plist><dict><key>IPv4</key><dict>
		<key>Pool</key><dict><key>StartAddress</key><string>192.168.2.2</string><key>EndAddress</key><string>192.168.2.4</string></dict>
		<key>Routes</key><array><dict><key>Address</key><string>192.168.1.0</string><key>Netmask</key><string>255.255.255.0</string></dict></array>
		</dict><key>Proxies</key><dict><key>HTTPPort</key><integer>8080</integer></dict></dict></plist>`)))(t)
}

func TestPoolIsHandedOutLowestFirstAndTakenBack(t *testing.T) {
	a, _ := devicetest.Pipe(1400)
	addr := serve(t, &Server{Configuration: smallPool(t), Device: a})
	p, q := newRaw(t, addr), newRaw(t, addr)
	open := func(p *rawPeer, id int64, want string) {
		t.Helper()
		p.send(p.enc.openIP(id))
		c := p.wantResult(id, decode.ResultSuccess).Configuration()
		if got, _ := c.Get("IPv4").Get("Address").Text(); got != want {
			t.Fatalf("address %s, want %s", got, want)
		}
		mask, _ := c.Get("IPv4").Get("Netmask").Text()
		port, _ := c.Get("Proxies").Get("HTTPPort").Int()
		if mask != "255.255.255.255" || port != 8080 || c.Get("IPv4").Get("Routes").Len() != 1 || c.Get("IPv4").Get("Pool").Exists() {
			t.Fatal("configuration is not passed through")
		}
	}
	open(p, 1, "192.168.2.2")
	open(q, 1, "192.168.2.3")
	q.send(q.enc.openIP(2))
	q.wantResult(2, decode.ResultRefused)
	open(q, 1, "192.168.2.3") // the same identifier again replaces the first
	p.send(p.enc.close(1, decode.CloseNone))
	q.send(q.enc.openIP(2))
	q.wantResult(2, decode.ResultRefused)
	p.send(p.enc.close(1, decode.CloseRead)) // any other type closes
	p.alive()
	open(q, 2, "192.168.2.2")
	q.conn.Close()
	for { // the server sees the end when it sees it
		p.send(p.enc.openIP(3))
		m := p.want(decode.OpenResult, 3)
		if code, _ := m.Int(decode.KeyResultCode); code == decode.ResultSuccess {
			break
		}
	}
}

func TestIPWithoutDevice(t *testing.T) {
	p := newRaw(t, serve(t, &Server{}))
	p.send(p.enc.openIP(7))
	p.wantResult(7, decode.ResultInternalError)
	p.send(p.enc.openTCP(8, "192.0.2.1", "80", 80))
	p.wantResult(8, decode.ResultRefused)
	p.wantClose(8, decode.CloseAll)
	p.send(p.enc.openUDP(9))
	p.wantResult(9, decode.ResultRefused)
	p.wantClose(9, decode.CloseAll)
	p.alive()
}

func packet4(src, dst string, n int) []byte {
	p := make([]byte, 20+n)
	p[0] = 0x45
	s, d := netip.MustParseAddr(src).As4(), netip.MustParseAddr(dst).As4()
	copy(p[12:], s[:])
	copy(p[16:], d[:])
	return p
}

func (p *rawPeer) sendPackets(id int64, pkts ...[]byte) {
	p.t.Helper()
	p.enc.pkts = pkts
	p.send(p.enc.packets(nil, id))
}

func TestPacketsAreRoutedByAddress(t *testing.T) {
	dev, far := devicetest.Pipe(1400)
	addr := serve(t, &Server{Configuration: smallPool(t), Device: dev})
	p, q := newRaw(t, addr), newRaw(t, addr)
	p.send(p.enc.openIP(1))
	p.wantResult(1, 0)
	q.send(q.enc.openIP(1))
	q.wantResult(1, 0)
	p.alive()
	q.alive()
	// Another client's address, a free one, nonsense: none of it is passed on.
	p.sendPackets(1, packet4("192.168.2.3", "192.0.2.1", 1), packet4("0.0.0.0", "192.0.2.1", 1), []byte("?"), nil, packet4("127.0.0.1", "192.0.2.1", 1),
		packet4("192.168.2.2", "192.0.2.1", 2), packet4("198.51.100.1", "192.0.2.1", 3))
	q.sendPackets(1, packet4("192.168.2.3", "192.0.2.1", 4))
	bufs, sizes := [][]byte{make([]byte, 1400), make([]byte, 1400)}, make([]int, 2)
	for got := 0; got < 2+3+4; {
		n, err := far.Read(bufs, sizes)
		if err != nil {
			t.Fatal(err)
		}
		for i := range n {
			got += sizes[i] - 20
		}
	}
	far.Write([][]byte{packet4("192.0.2.1", "192.168.2.2", 10), packet4("192.0.2.1", "192.168.2.9", 11), packet4("192.0.2.1", "198.51.100.1", 12)})
	far.Write([][]byte{packet4("192.0.2.1", "192.168.2.3", 13)})
	for _, want := range []struct {
		p     *rawPeer
		sizes []int
	}{{p, []int{10, 12}}, {q, []int{13}}} {
		var got []int
		for len(got) < len(want.sizes) {
			m := want.p.want(decode.Packets, 1)
			for i := range m.PacketCount() {
				b, family := m.Packet(i)
				if family != decode.FamilyIPv4 {
					t.Fatal(family)
				}
				got = append(got, len(b)-20)
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want.sizes) {
			t.Fatalf("got %v, want %v", got, want.sizes)
		}
	}
}

// Suspend holds packets back, the queue is bounded, and messages are of at
// most 32 packets.
func TestSuspendedIPConnection(t *testing.T) {
	dev, far := devicetest.Pipe(1400)
	p := newRaw(t, serve(t, &Server{Configuration: smallPool(t), Device: dev}))
	p.send(p.enc.openIP(1))
	p.wantResult(1, 0)
	p.send(p.enc.plain(decode.Resume, 1)) // where Apple's server dies
	p.send(p.enc.plain(decode.Suspend, 1))
	p.send(p.enc.plain(decode.Suspend, 1))
	p.alive()
	for range 2 * maxPackets {
		far.Write([][]byte{packet4("192.0.2.1", "192.168.2.2", 1000)})
	}
	p.alive() // and no packets
	p.send(p.enc.plain(decode.Resume, 1))
	got := 0
	for got < maxPackets {
		m := p.want(decode.Packets, 1)
		if m.PacketCount() > decode.MaxPacketsPerMessage {
			t.Fatalf("%d packets in a message", m.PacketCount())
		}
		got += m.PacketCount()
	}
}

func TestResultCodes(t *testing.T) {
	reasons := map[string]error{
		"refused": &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)},
		"policy":  fmt.Errorf("no: %w", fs.ErrPermission),
		"name":    &net.DNSError{Err: "no such host", IsNotFound: true},
		"timeout": context.DeadlineExceeded,
		"slow":    &net.DNSError{Err: "timeout", IsTimeout: true},
		"other":   errors.New("no route to host"),
	}
	p := newRaw(t, serve(t, &Server{Dial: func(_ context.Context, _, address string) (net.Conn, error) {
		host, _, _ := net.SplitHostPort(address)
		return nil, reasons[host]
	}}))
	id := int64(-1) // identifiers may be negative
	for host, code := range map[string]int64{"refused": 3, "policy": 3, "name": 2, "timeout": 4, "slow": 4, "other": 5} {
		p.send(p.enc.openTCP(id, host, "80", 80))
		p.wantResult(id, code)
		p.wantClose(id, decode.CloseAll)
		id--
	}
	for _, bad := range [][]any{
		{"tunnel-type", int64(0), "app-proxy-flow-type", int64(1), "host", "h"},
		{"tunnel-type", int64(0), "app-proxy-flow-type", int64(1), "host", "h", "port", "http"},
		{"tunnel-type", int64(0), "app-proxy-flow-type", int64(1), "host", "h", "port", int64(65536)},
		{"tunnel-type", int64(0), "app-proxy-flow-type", int64(1), "host", int64(1), "port", "80"},
		{"tunnel-type", int64(0), "app-proxy-flow-type", int64(1), "host", "", "port", "80"},
	} {
		p.send(p.message(decode.Open, append(bad, "identifier", int64(9))...))
		p.wantResult(9, decode.ResultInvalidParam)
		p.wantClose(9, decode.CloseAll)
	}
	for _, bad := range [][]any{
		{}, {"tunnel-type", int64(2)}, {"tunnel-type", "1"}, {"tunnel-type", int64(0)},
		{"tunnel-type", int64(0), "app-proxy-flow-type", int64(2)}, {"tunnel-type", int64(0), "app-proxy-flow-type", "1"},
	} {
		p.send(p.message(decode.Open, append(bad, "identifier", int64(9))...))
		p.wantResult(9, decode.ResultInvalidParam)
	}
	p.send(p.message(decode.Open, "tunnel-type", int64(1))) // without an identifier there is nobody to answer
	p.alive()
}

func TestWhatEndsATunnel(t *testing.T) {
	addr := serve(t, &Server{})
	var e encoder
	ok := bytes.Clone(must(e.plain(decode.FetchConfiguration, 0))(t))
	raw := func(length int, payload string) []byte {
		return append([]byte{byte(length), byte(length >> 8), byte(length >> 16), 0}, payload...)
	}
	p := newRaw(t, addr)
	for name, tt := range map[string]struct {
		b    []byte
		ends bool
	}{
		"empty message":   {raw(4, ""), false},
		"length 3":        {raw(3, "bplist00"), true},
		"length 0":        {raw(0, ""), true},
		"length 131073":   {raw(131073, ""), true},
		"no plist":        {raw(9, "hello"), true},
		"unknown command": {must(p.message(77, "identifier", int64(1)))(t), true},
		"no command":      {must(p.message(0))(t), true},
		"dns":             {must(p.message(decode.DNS, "identifier", int64(1)))(t), false},
		"openResult":      {must(p.message(decode.OpenResult, "identifier", int64(1)))(t), false},
		"unknown id":      {must(new(encoder).data(12345, []byte("x")))(t), false},
		"close unknown":   {must(new(encoder).close(12345, decode.CloseAll))(t), false},
	} {
		t.Run(name, func(t *testing.T) {
			p := newRaw(t, addr)
			p.alive()
			// One write, so that what the server does not read any more
			// cannot fail it.
			p.send(append(bytes.Clone(tt.b), ok...), nil)
			if tt.ends {
				p.wantEnd()
				return
			}
			p.want(decode.FetchConfiguration, 0)
			p.conn.(*net.TCPConn).CloseWrite()
			p.wantEnd() // a half close ends a tunnel
		})
	}
}

func TestFloodOfOpens(t *testing.T) {
	o := newOutside(t)
	addr := serve(t, &Server{Dial: o.dial, Limits: Limits{Connections: 1000, Sockets: 10}})
	p := newRaw(t, addr)
	count := func(n int, open func(id int64) ([]byte, error)) (codes map[int64]int) {
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			for i := range n {
				rec, err := open(int64(i))
				if err == nil {
					_, err = p.conn.Write(rec)
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		}()
		codes = make(map[int64]int)
		for answers := 0; answers < n; {
			if m := p.next(); m.Command == decode.OpenResult {
				code, _ := m.Int(decode.KeyResultCode)
				codes[code]++
				answers++
			}
		}
		<-sent
		return codes
	}
	var e encoder
	if codes := count(1500, e.openUDP); codes[0] != 1000 || codes[3] != 500 {
		t.Fatal(codes)
	}
	q := newRaw(t, addr)
	p = q
	if codes := count(1000, func(id int64) ([]byte, error) { return e.openTCP(id, "192.0.2.1", "80", 80) }); codes[0] != 10 || codes[3] != 990 {
		t.Fatal(codes)
	}
}

func TestTunnelsAreBounded(t *testing.T) {
	addr := serve(t, &Server{Limits: Limits{Tunnels: 2}})
	a, b := newRaw(t, addr), newRaw(t, addr)
	a.alive()
	b.alive()
	newRaw(t, addr).wantEnd()
	a.alive()
}

// A client that sends and does not read is held up, and holds up nobody else.
func TestClientThatDoesNotRead(t *testing.T) {
	addr := serve(t, &Server{})
	p := newRaw(t, addr)
	one := bytes.Clone(must(p.enc.plain(decode.FetchConfiguration, 0))(t))
	many := bytes.Repeat(one, 1000)
	p.conn.SetWriteDeadline(time.Now().Add(500 * time.Millisecond))
	var total int
	for {
		n, err := p.conn.Write(many)
		total += n
		if err != nil {
			break
		}
		if total > 256<<20 {
			t.Fatal("the server takes everything and is never answered")
		}
	}
	newRaw(t, addr).alive()
}
