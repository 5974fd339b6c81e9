package replay_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"testing"

	"tundump/decode"
	"tundump/decode/packet"
	"tundump/replay"
)

func responder(t testing.TB, r recording) *replay.Responder {
	t.Helper()
	p, err := replay.NewResponder(r, replay.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// answer asks and returns the facts of the one answer.
func answer(t *testing.T, r *replay.Responder, pkt []byte) *packet.Facts {
	t.Helper()
	got, known, err := r.Answer(nil, pkt)
	if err != nil || !known || len(got) != 1 {
		t.Fatalf("%d answers, known %v: %v", len(got), known, err)
	}
	f := new(packet.Facts)
	packet.NewParser().Facts(got[0], f)
	if f.IPStatus == packet.Bad || f.L4Status == packet.Bad {
		t.Errorf("%x: ip %v, transport %v", got[0], f.IPStatus, f.L4Status)
	}
	return f
}

// Another client with other numbers gets the recorded answers as its own.
func TestRespond(t *testing.T) {
	other := netip.MustParseAddr("10.8.99.99")
	var rec recording
	rec.add(0, decode.ClientToServer, dns(ap(phone, 5000), ap(server, 53), 7, "a.b", 1))
	rec.add(1, decode.ServerToClient, dns(ap(server, 53), ap(phone, 5000), 7, "a.b", 1, "192.0.2.1"))
	rec.add(2, decode.ClientToServer, echo(8, phone, server, 1, "x"))
	rec.add(3, decode.ServerToClient, echo(0, server, phone, 1, "x"))
	rec.add(4, decode.ClientToServer, udp(ap(phone, 6000), ap(server, 9), 1, "first"))
	rec.add(5, decode.ServerToClient, udp(ap(server, 9), ap(phone, 6000), 1, "one"))
	rec.add(6, decode.ClientToServer, udp(ap(phone, 6000), ap(server, 9), 1, "second"))
	rec.add(7, decode.ServerToClient, udp(ap(server, 9), ap(phone, 6000), 1, "two"))
	r := responder(t, rec)

	f := answer(t, r, dns(ap(other, 1234), ap(server, 53), 99, "A.b", 1))
	var m packet.DNSMessage
	if !packet.NewParser().DNS(f, &m) || m.ID != 99 || string(m.Questions[0].Name) != "A.b" || f.Dst != other || f.DstPort != 1234 {
		t.Errorf("%+v", m)
	}
	if f := answer(t, r, echo(8, other, server, 77, "another text")); f.ICMPSeq != 77 || string(f.Payload) != "another text" || f.Dst != other || f.Type != 0 {
		t.Errorf("%+v", f)
	}
	for _, want := range [][2]string{{"second", "two"}, {"third", "one"}, {"second", "two"}} {
		if f := answer(t, r, udp(ap(other, 6001), ap(server, 9), 1, want[0])); string(f.Payload) != want[1] || f.DstPort != 6001 {
			t.Errorf("%s is answered by %q", want[0], f.Payload)
		}
	}
	if _, known, err := r.Answer(nil, udp(ap(other, 1), ap(server, 10), 1, "?")); known || err != nil {
		t.Error(known, err)
	}
	rep := r.Report()
	if rep.Received != 6 || rep.Answered != 5 || rep.Extra != 1 || rep.Skipped != 0 || rep.Sent != 5 {
		t.Errorf("%+v", rep)
	}
}

// connection records a TCP connection in which the client asks and the server
// answers, and then closes.
func (r *recording) connection(ms int, port uint16, ask, say string) {
	c, s := ap(phone, port), ap(server, 80)
	seg := func(from, to netip.AddrPort, seq, ack uint32, flags byte, text string) []byte {
		p := append(tcp(from, to, seq, ack, flags), text...)
		p[2], p[3] = byte(len(p)>>8), byte(len(p))
		return p
	}
	const fin, syn, ack = 1, 2, 16
	n, m := uint32(len(ask)), uint32(len(say))
	r.add(ms, decode.ClientToServer, seg(c, s, 100, 0, syn, ""))
	r.add(ms+1, decode.ServerToClient, seg(s, c, 900, 101, syn|ack, ""))
	r.add(ms+2, decode.ClientToServer, seg(c, s, 101, 901, ack, ask))
	r.add(ms+3, decode.ServerToClient, seg(s, c, 901, 101+n, ack, say))
	r.add(ms+4, decode.ServerToClient, seg(s, c, 901+m, 101+n, fin|ack, ""))
	r.add(ms+5, decode.ClientToServer, seg(c, s, 101+n, 902+m, fin|ack, ""))
}

// Of two connections to one address the client gets the one it asks for, also
// when it asks in other words.
func TestRespondStream(t *testing.T) {
	var rec recording
	rec.connection(0, 5000, "GET /a\r\n\r\n", "this is a")
	rec.connection(10, 5001, "GET /b\r\n\r\n", "this is b")
	r := responder(t, rec)
	for _, c := range []struct{ ask, want string }{{"GET /b\r\n\r\n", "this is b"}, {"GET /b\r\n\r\n", "this is b"}, {"GET /a and more\r\n\r\n", "this is a"}} {
		conn, err := r.DialStream(context.Background(), ap(server, 80).String())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, c.ask); err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(conn)
		if err != nil || string(got) != c.want {
			t.Errorf("%q is answered by %q: %v", c.ask, got, err)
		}
		conn.Close()
	}
	r.Wait()
	if rep := r.Report(); rep.Flows != 3 || rep.FlowsSame != 2 || rep.Total != 1 || rep.Differences[0].Fields[0].Name != "tcp.payload.c2s at 6" {
		t.Errorf("%+v", rep)
	}
	if _, err := r.DialStream(context.Background(), "192.0.2.250:80"); err == nil {
		t.Error("a connection that was not recorded")
	}
}

// flowPeer is a canned peer whose connections say something else from byte at on.
type flowPeer struct {
	canned
	responder *replay.Responder
	at        int
}

func (p *flowPeer) DialFlow(ctx context.Context, d *replay.Dialogue) (net.Conn, error) {
	c, err := p.responder.DialStream(ctx, net.JoinHostPort(d.Host, fmt.Sprint(d.Port)))
	return &spoiled{c, p.at}, err
}

type spoiled struct {
	net.Conn
	left int
}

func (s *spoiled) Read(b []byte) (int, error) {
	n, err := s.Conn.Read(b)
	if s.left >= 0 && s.left < n {
		b[s.left] ^= 1
	}
	s.left -= n
	return n, err
}

func (s *spoiled) CloseWrite() error { return s.Conn.(interface{ CloseWrite() error }).CloseWrite() }

// Connections are opened again, and a changed byte is found where it is.
func TestPlayFlows(t *testing.T) {
	var rec recording
	page := string(bytes.Repeat([]byte("page "), 100))
	rec.connection(0, 5000, "GET /a\r\n\r\n", page)
	rec.connection(10, 5001, "GET /b\r\n\r\n", page)
	for at, want := range map[int]string{-1: "", 123: "tcp.payload.s2c at 123"} {
		r := responder(t, rec)
		p, err := replay.Compile(rec, replay.Options{Pace: replay.Pace{Answer: true}, Flows: true, Messages: true})
		if err != nil {
			t.Fatal(err)
		}
		rep, err := replay.Play(t.Context(), p, &flowPeer{canned{closed: make(chan struct{})}, r, at})
		r.Wait()
		if err != nil || rep.Flows != 2 || rep.Same() != (want == "") || rep.FlowBytes[1] != int64(2*len(page)) {
			t.Errorf("%v: %+v", err, rep)
		}
		if want != "" && rep.Differences[0].Fields[0].Name != want {
			t.Errorf("%+v", rep.Differences)
		}
	}
}

// FuzzRespond has any packet answered by a recording of any two.
func FuzzRespond(f *testing.F) {
	for _, ev := range session() {
		f.Add(ev.Raw, ev.Raw, ev.Raw)
	}
	f.Add(echo(8, phone, server, 1, "x"), echo(0, server, phone, 1, "y"), echo(8, server, phone, 2, "x"))
	f.Add(dns(ap(phone, 5000), ap(server, 53), 7, "a.b", 1), dns(ap(server, 53), ap(phone, 5000), 7, "a.b", 1, "192.0.2.1"), udp(ap(phone, 1), ap(server, 53), 1, "x"))
	f.Fuzz(func(t *testing.T, ask, say, live []byte) {
		var rec recording
		rec.add(0, decode.ClientToServer, ask)
		rec.add(1, decode.ServerToClient, say)
		r := responder(t, rec)
		for _, pkt := range [][]byte{live, ask, ask[:len(ask)/2]} {
			got, _, err := r.Answer(nil, pkt)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range got {
				if len(p) > 65535 || p[0]>>4 != 4 && p[0]>>4 != 6 {
					t.Errorf("%d bytes: %x", len(p), p)
				}
			}
		}
		if rep := r.Report(); rep.Answered+rep.Extra > rep.Received {
			t.Errorf("%+v", rep)
		}
	})
}

func BenchmarkRespond(b *testing.B) {
	var rec recording
	for i := range 1000 {
		rec.add(2*i, decode.ClientToServer, echo(8, phone, server, i, "ping"))
		rec.add(2*i+1, decode.ServerToClient, echo(0, server, phone, i, "ping"))
	}
	r := responder(b, rec)
	ask := echo(8, phone, server, 5000, "ping")
	var out [][]byte
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if out, _, err = r.Answer(out[:0], ask); err != nil || len(out) != 1 {
			b.Fatal(len(out), err)
		}
	}
}
