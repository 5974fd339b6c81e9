package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/netip"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"tundump/capture/judge"
	"tundump/decode"
	"tundump/decode/bplist"
	"tundump/decode/frame"
	"tundump/replay"
	"tundump/replay/tun"
)

// independent returns the command of a peer that shares no code with ours.
func independent(t *testing.T) []string {
	t.Helper()
	return []string{"env", "PYTHONDONTWRITEBYTECODE=1", judge.Program(t, "python3"), "-u", judge.Shared(t, "tools", "stpeer.py")}
}

// echoes answers TCP on port 7 and UDP on port 9 of the server's loopback.
func (l *lab) echoes(t *testing.T) {
	t.Helper()
	ln := in(t, l, "server", func() (net.Listener, error) { return net.Listen("tcp", "127.0.0.1:7") })
	t.Cleanup(func() { ln.Close() })
	go func() { // until Close
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() { // until the other end closes
				defer c.Close()
				_, _ = c.(*net.TCPConn).WriteTo(c)
			}()
		}
	}()
	pc := in(t, l, "server", func() (net.PacketConn, error) { return net.ListenPacket("udp", "127.0.0.1:9") })
	t.Cleanup(func() { pc.Close() })
	go func() { // until Close
		buf := make([]byte, 65535)
		for {
			n, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			_, _ = pc.WriteTo(buf[:n], from) // the client misses what is lost
		}
	}()
}

// reflect makes a device on a host that sends packets back as they came, with
// the addresses exchanged and as answers: the independent client wants its
// answers in order, and sends checksums that no kernel accepts.
func (l *lab) reflect(t *testing.T, host string) {
	t.Helper()
	dev := in(t, l, host, func() (*tun.Device, error) {
		d, err := tun.Open(tun.Options{Name: "reflector"})
		if err != nil {
			return nil, err
		}
		var s tun.Setup
		return d, s.Apply(tun.Up("reflector"),
			tun.Route("reflector", netip.MustParsePrefix("8.8.8.8/32")), tun.Route("reflector", netip.MustParsePrefix("2001:4860:4860::8888/128")))
	})
	done := make(chan struct{})
	t.Cleanup(func() { dev.Close(); <-done })
	go func() { // until Close
		defer close(done)
		bufs, sizes := replay.Buffers(32, dev.MTU())
		for {
			n, err := dev.Read(bufs, sizes)
			if err != nil {
				return
			}
			for i := range n {
				answer(bufs[i][:sizes[i]])
				if _, err := dev.Write([][]byte{bufs[i][:sizes[i]]}); err != nil {
					return
				}
			}
		}
	}()
}

func answer(p []byte) {
	src, dst, l4 := p[12:16], p[16:20], p[20:]
	if p[0]>>4 == 6 {
		src, dst, l4 = p[8:24], p[24:40], p[40:]
		l4[0]++ // echo request to reply
	} else {
		l4[0] = 0
	}
	was := append([]byte(nil), src...)
	copy(src, dst)
	copy(dst, was)
}

// The client's scenario: configuration, packets of both families, a TCP and a
// UDP flow. Its IPv6 address is not from the pool.
func independentClient(t *testing.T, l *lab) {
	peer := independent(t)
	l.echoes(t)
	l.reflect(t, "server")
	l.on(t, "server", "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
	server := l.start(t, "server", "serve", "--listen", "10.2.0.2:8890", "--tun", "--allow", "127.0.0.0/8", "--log-level", "warn")
	server.wait(t, `serving on (\S+),`)
	l.on(t, "server", "ip", "route", "add", "2001:db8::2", "dev", "tundump0")
	l.clientScenarios(t, peer, func(args []string) { l.on(t, "phone", args...) })
	server.end(t)
}

// The same against the user-space stack: the hosts that the client asks are
// addresses of the server's own system, reached over ordinary sockets. One
// check of the client's asks for more than a server of real hosts can promise:
// that answers of different hosts and protocols come in the order of the
// requests. What it says of all else must be right.
func independentClientStack(t *testing.T, l *lab) {
	peer := independent(t)
	l.echoes(t)
	l.on(t, "server", "sysctl", "-qw", "net.ipv4.ping_group_range=0 0")
	l.on(t, "server", "ip", "addr", "add", "8.8.8.8/32", "dev", "lo")
	l.on(t, "server", "ip", "addr", "add", "2001:4860:4860::8888/128", "dev", "lo", "nodad")
	server := l.start(t, "server", "serve", "--listen", "10.2.0.2:8890", "--allow", "127.0.0.0/8", "--log-level", "warn")
	server.wait(t, `serving on (\S+)`)
	l.clientScenarios(t, peer, func(args []string) {
		out, _ := exec.Command("ip", append([]string{"netns", "exec", l.prefix + "phone"}, args...)...).Output()
		var verdict struct {
			Event string   `json:"ev"`
			Fails []string `json:"fails"`
		}
		line := out[bytes.LastIndexByte(bytes.TrimSpace(out), '\n')+1:]
		if err := json.Unmarshal(line, &verdict); err != nil || verdict.Event != "closed" {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
		for _, f := range verdict.Fails {
			if f != "echoed packet lengths" {
				t.Errorf("%v: %s", args, f)
			}
		}
	})
	server.end(t)
}

// clientScenarios runs the independent client against the server, directly
// and through a proxy.
func (l *lab) clientScenarios(t *testing.T, peer []string, run func(args []string)) {
	t.Helper()
	l.proxied(t)
	for _, args := range [][]string{
		{"10.2.0.2:8890", "networkextension", "0"}, {"10.2.0.2:8890", "apple", "0"}, {"10.2.0.2:8890", "networkextension", "7"}, {"10.1.0.1:8890", "networkextension", "0"},
	} {
		as := append(append([]string(nil), peer...), "client", "--connect", args[0], "--live", "--dialect", args[1], "--dribble", args[2])
		run(as)
	}
}

// The server answers echo requests and datagrams to wherever by itself.
func independentServer(t *testing.T, l *lab) {
	peer := independent(t)
	for _, dialect := range []string{"networkextension", "apple"} {
		before := l.state(t, "phone")
		server := l.launch(t, "server", append(append([]string(nil), peer...), "server", "--listen", "10.2.0.2:8891", "--live", "--dialect", dialect)...)
		server.stdout.waitCount(t, "8891", 1)
		client := l.start(t, "phone", "connect", "10.2.0.2:8891", "--tun")
		client.wait(t, `address  (192.168.2.2)/32`)
		client.wait(t, `(connected): device`)
		l.on(t, "phone", "ping", "-c", "20", "-i", "0.01", "-W", "10", "8.8.8.8")
		l.on(t, "phone", "ping", "-c", "1", "-M", "do", "-s", "1322", "-W", "10", "8.8.8.8")
		u, err := l.dialFrom("phone", "udp", "8.8.8.8:7")
		if err != nil {
			t.Fatal(err)
		}
		defer u.Close()
		if err := u.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 2000)
		if _, err := u.Write(make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
		if n, err := u.Read(buf); n != 1000 || err != nil {
			t.Error(n, err)
		}
		client.end(t)
		same(t, before, l.state(t, "phone"))
		killed(server)
	}
}

// noAddress meets servers that assign nothing that a device can have.
func noAddress(t *testing.T, l *lab) {
	before := l.state(t, "phone")
	for address, says := range map[string]string{"": "assigned no address", "127.0.0.1": "no device can have", "224.0.0.1": "no device can have", "0.0.0.0": "no device can have"} {
		ln := in(t, l, "server", func() (net.Listener, error) { return net.Listen("tcp", "10.2.0.2:8892") })
		done := make(chan error, 1)
		go func() { done <- assign(t.Context(), ln, address) }()
		l.start(t, "phone", "connect", "10.2.0.2:8892", "--tun").fails(t, 1, says)
		if err := <-done; err != nil {
			t.Error(err)
		}
		ln.Close()
		same(t, before, l.state(t, "phone"))
	}
}

// assign answers one open with an address, or without one.
func assign(ctx context.Context, ln net.Listener, address string) error {
	conn, err := ln.Accept()
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	var rec []byte
	buf := make([]byte, 4096)
	for n := 0; n == 0; {
		got, err := conn.Read(buf)
		if err != nil {
			return err
		}
		rec = append(rec, buf[:got]...)
		if n, err = frame.Cut(rec, frame.MaxLen); err != nil {
			return err
		}
		rec = rec[:max(n, len(rec))]
	}
	var m decode.Message
	if err := m.Decode(decode.Event{Kind: decode.Record, Dir: decode.ClientToServer, Raw: rec}); err != nil {
		return err
	}
	var w bplist.Writer
	conf := w.Dict()
	if address != "" {
		conf = w.Dict(w.String("IPv4"), w.Dict(w.String("Address"), w.String(address), w.String("Netmask"), w.String("255.255.255.255")))
	}
	out, err := w.Append(frame.Reserve(nil), w.Dict(
		w.String(decode.KeyIdentifier.String()), w.Int(m.Identifier), w.String(decode.KeyCommand.String()), w.Int(int64(decode.OpenResult)),
		w.String(decode.KeyResultCode.String()), w.Int(0), w.String(decode.KeyConfiguration.String()), conf))
	if err != nil {
		return err
	}
	if err := frame.PutLength(out, 0); err != nil {
		return err
	}
	if _, err := conn.Write(out); err != nil {
		return err
	}
	_, err = conn.Read(buf) // until the client has had enough
	if err == nil || errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) {
		return nil
	}
	return err
}
