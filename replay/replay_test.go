package replay_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tundump/decode"
	"tundump/decode/field"
	"tundump/decode/packet"
	"tundump/replay"
	"tundump/replay/devicetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	phone  = netip.MustParseAddr("10.8.0.2")
	server = netip.MustParseAddr("10.8.0.1")
)

// recording is a Source in memory.
type recording []decode.Event

func (r recording) Len() int { return len(r) }
func (r recording) At(i int, buf []byte) (decode.Event, error) {
	ev := r[i]
	ev.Raw = append(buf[:0], ev.Raw...)
	return ev, nil
}

// add adds a packet that came after ms milliseconds.
func (r *recording) add(ms int, dir decode.Direction, pkt []byte) {
	*r = append(*r, decode.Event{Kind: decode.Packet, Dir: dir, Time: 1e18 + int64(ms)*1e6, Raw: pkt})
}

func checksum(b []byte) uint16 {
	sum := uint32(0)
	for i, c := range b {
		sum += uint32(c) << (8 * (1 - i%2))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

func ip4(proto byte, src, dst netip.Addr, id int, body []byte) []byte {
	b := make([]byte, 20, 20+len(body))
	b[0], b[8], b[9] = 0x45, 64, proto
	binary.BigEndian.PutUint16(b[2:], uint16(20+len(body)))
	binary.BigEndian.PutUint16(b[4:], uint16(id))
	copy(b[12:], src.AsSlice())
	copy(b[16:], dst.AsSlice())
	binary.BigEndian.PutUint16(b[10:], checksum(b))
	return append(b, body...)
}

func echo(typ byte, src, dst netip.Addr, seq int, text string) []byte {
	b := append([]byte{typ, 0, 0, 0, 0, 7, byte(seq >> 8), byte(seq)}, text...)
	binary.BigEndian.PutUint16(b[2:], checksum(b))
	return ip4(1, src, dst, seq*3, b)
}

func udp(src, dst netip.AddrPort, id int, text string) []byte {
	b := make([]byte, 8, 8+len(text))
	binary.BigEndian.PutUint16(b, src.Port())
	binary.BigEndian.PutUint16(b[2:], dst.Port())
	binary.BigEndian.PutUint16(b[4:], uint16(8+len(text)))
	return ip4(17, src.Addr(), dst.Addr(), id, append(b, text...))
}

func tcp(src, dst netip.AddrPort, seq, ack uint32, flags byte) []byte {
	b := make([]byte, 20)
	binary.BigEndian.PutUint16(b, src.Port())
	binary.BigEndian.PutUint16(b[2:], dst.Port())
	binary.BigEndian.PutUint32(b[4:], seq)
	binary.BigEndian.PutUint32(b[8:], ack)
	b[12], b[13], b[14] = 5<<4, flags, 0xff
	return ip4(6, src.Addr(), dst.Addr(), int(seq), b)
}

// dns is a question for an A record, or its answer.
func dns(src, dst netip.AddrPort, id int, name string, ttl byte, answers ...string) []byte {
	b := []byte{byte(id >> 8), byte(id), 1, 0, 0, 1, 0, byte(len(answers)), 0, 0, 0, 0}
	if len(answers) > 0 {
		b[2] |= 0x80
	}
	for label := range strings.SplitSeq(name, ".") {
		b = append(append(b, byte(len(label))), label...)
	}
	b = append(b, 0, 0, 1, 0, 1)
	for _, a := range answers {
		b = append(append(b, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, ttl, 0, 4), netip.MustParseAddr(a).AsSlice()...)
	}
	return udp(src, dst, id, string(b))
}

func ap(a netip.Addr, port uint16) netip.AddrPort { return netip.AddrPortFrom(a, port) }

// session is one of everything, all answered.
func session() recording {
	var r recording
	up, down := decode.ClientToServer, decode.ServerToClient
	for i := range 3 {
		r.add(10*i, up, echo(8, phone, server, i, "ping"))
		r.add(10*i+2, down, echo(0, server, phone, i, "ping"))
	}
	r.add(40, up, dns(ap(phone, 5000), ap(server, 53), 77, "example.org", 0))
	r.add(43, down, dns(ap(server, 53), ap(phone, 5000), 77, "Example.org", 60, "192.0.2.1", "192.0.2.2"))
	r.add(50, up, tcp(ap(phone, 5001), ap(server, 80), 1000, 0, 2))
	r.add(51, down, tcp(ap(server, 80), ap(phone, 5001), 9000, 1001, 0x12))
	r.add(52, up, tcp(ap(phone, 5001), ap(server, 80), 1001, 9001, 0x10))
	for i := range 3 {
		r.add(60, up, udp(ap(phone, 5002), ap(server, 123), i, fmt.Sprint("ask", i)))
	}
	for i := range 3 {
		r.add(61, down, udp(ap(server, 123), ap(phone, 5002), i, fmt.Sprint("say", i)))
	}
	return r
}

// world answers what a device sends as it is told.
func world(t *testing.T, d replay.Device, answer func(pkt []byte) [][]byte) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		bufs, sizes := replay.Buffers(32, d.MTU())
		for {
			n, err := d.Read(bufs, sizes)
			if err != nil {
				return
			}
			for i := range n {
				if out := answer(bufs[i][:sizes[i]]); len(out) > 0 {
					if _, err := d.Write(out); err != nil {
						return
					}
				}
			}
		}
	}()
	t.Cleanup(func() { d.Close(); <-done })
}

// recorded answers each packet of r's client with what came next in r, with
// other identifiers, times to live and sequence numbers.
func recorded(t *testing.T, r recording) func(pkt []byte) [][]byte {
	asked := map[string][]byte{}
	var waiting []string
	for _, ev := range r {
		if ev.Dir == decode.ClientToServer {
			if ev.Raw[9] != 6 || ev.Raw[33] == 2 { // of TCP only the SYN is answered
				waiting = append(waiting, string(ev.Raw))
			}
			continue
		}
		b := append([]byte(nil), ev.Raw...)
		b[8], b[4] = 17, 99
		b[10], b[11] = 0, 0
		binary.BigEndian.PutUint16(b[10:], checksum(b[:20]))
		asked[waiting[0]] = b
		waiting = waiting[1:]
		if b[9] == 6 {
			b[27] ^= 0xff
		}
	}
	return func(pkt []byte) [][]byte {
		if b := asked[string(pkt)]; b != nil {
			return [][]byte{b}
		}
		return nil
	}
}

func compile(t *testing.T, r recording, o replay.Options) *replay.Plan {
	t.Helper()
	p, err := replay.Compile(r, o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// play plays r against answer.
func play(t *testing.T, p *replay.Plan, answer func([]byte) [][]byte) replay.Report {
	t.Helper()
	a, b := devicetest.Pipe(1500)
	world(t, b, answer)
	report, err := replay.Play(t.Context(), p, &replay.DevicePeer{Device: a})
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func top() replay.Options { return replay.Options{Pace: replay.Pace{Top: true}} }

func TestSame(t *testing.T) {
	for name, preload := range map[string]int64{"Memory": 0, "Read": -1} {
		t.Run(name, func(t *testing.T) {
			r := session()
			o := top()
			o.Preload = preload
			p := compile(t, r, o)
			if len(p.Steps) != 9 || len(p.Expected) != 8 || p.TCP != 1 || p.Dests[server] != 9 {
				t.Fatalf("%d steps, %d expected, %d TCP, %v", len(p.Steps), len(p.Expected), p.TCP, p.Dests)
			}
			report := play(t, p, recorded(t, r))
			if !report.Same() || report.Sent != 9 || report.Answered != 8 || report.Received != 8 {
				t.Errorf("%+v", report)
			}
		})
	}
}

func TestOneChange(t *testing.T) {
	r := session()
	answer := recorded(t, r)
	changed := dns(ap(server, 53), ap(phone, 5000), 77, "example.org", 5, "192.0.2.9", "192.0.2.2")
	report := play(t, compile(t, r, top()), func(pkt []byte) [][]byte {
		if pkt[9] == 17 && pkt[23] == 53 {
			return [][]byte{changed}
		}
		return answer(pkt)
	})
	if report.Total != 1 || report.Changed != 1 || report.Unanswered != 0 {
		t.Fatalf("%+v", report)
	}
	d := report.Differences[0]
	want := replay.FieldDifference{Name: "dns.a", Recorded: "192.0.2.1,192.0.2.2", Live: "192.0.2.2,192.0.2.9"}
	if d.Kind != replay.Changed || len(d.Fields) != 1 || d.Fields[0] != want || d.Request != 7 || d.Answer != 8 || !strings.Contains(d.Recorded, "192.0.2.1") {
		t.Errorf("%+v", d)
	}
	rules, err := replay.NewRules([]string{"dns"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	o := top()
	o.Rules = rules
	report = play(t, compile(t, r, o), func(pkt []byte) [][]byte {
		if pkt[9] == 17 && pkt[23] == 53 {
			return [][]byte{changed}
		}
		return answer(pkt)
	})
	if !report.Same() {
		t.Errorf("ignored: %+v", report)
	}
}

func TestMatchRule(t *testing.T) {
	r := session()
	for pattern, same := range map[string]bool{`dns.a=^192\.0\.2\.`: true, `dns.a=^10\.`: false, "ip.ttl=^17$": true, "ip.ttl=^64$": false} {
		rules, err := replay.NewRules(nil, []string{pattern})
		if err != nil {
			t.Fatal(err)
		}
		o := top()
		o.Rules = rules
		o.Select = func(row *field.Row) bool { return row.Packet.App == packet.AppDNS }
		if report := play(t, compile(t, r, o), recorded(t, r)); report.Same() != same {
			t.Errorf("%s: %+v", pattern, report)
		}
	}
	if _, err := replay.NewRules([]string{"ip.tll"}, nil); err == nil || !strings.Contains(err.Error(), "ip.ttl") {
		t.Error(err)
	}
}

// What is lost is unanswered, the others are found whatever their order.
func TestLost(t *testing.T) {
	r := session()
	answer := recorded(t, r)
	var held [][]byte
	o := top()
	o.Wait = 50 * time.Millisecond
	report := play(t, compile(t, r, o), func(pkt []byte) [][]byte {
		switch text := string(pkt[28:]); {
		case strings.HasSuffix(text, "ask0"):
			held = answer(pkt)
			return nil
		case strings.HasSuffix(text, "ask1"), pkt[9] == 1 && pkt[27] == 1:
			return nil
		case strings.HasSuffix(text, "ask2"):
			return append(answer(pkt), held...)
		}
		return answer(pkt)
	})
	if report.Unanswered != 2 || report.Changed != 0 || report.Extra != 0 || report.Answered != 6 || report.Total != 2 {
		t.Fatalf("%+v", report)
	}
	if d := report.Differences[0]; d.Kind != replay.Unanswered || d.Request != 3 || d.Answer != 4 {
		t.Errorf("%+v", d)
	}
}

func TestExtra(t *testing.T) {
	r := session()
	answer := recorded(t, r)
	refused := func(pkt []byte) []byte { // port unreachable
		b := append([]byte{3, 3, 0, 0, 0, 0, 0, 0}, pkt...)
		binary.BigEndian.PutUint16(b[2:], checksum(b))
		return ip4(1, server, phone, 1, b)
	}
	report := play(t, compile(t, r, top()), func(pkt []byte) [][]byte {
		switch {
		case pkt[9] == 17 && pkt[23] == 53: // instead of the answer
			return [][]byte{refused(pkt)}
		case strings.HasSuffix(string(pkt), "ask2"): // one more than was recorded
			return append(answer(pkt), udp(ap(server, 123), ap(phone, 5002), 1, "more"))
		case pkt[9] == 1: // twice
			return append(answer(pkt), answer(pkt)...)
		}
		return answer(pkt)
	})
	if report.Changed != 1 || report.Extra != 1 || report.Repeated != 3 || report.Unanswered != 0 || report.Total != 2 {
		t.Fatalf("%+v", report)
	}
	if d := report.Differences[0]; d.Fields[0].Name != "_ws.col.info" || !strings.Contains(d.Fields[0].Live, "unreachable") {
		t.Errorf("%+v", d)
	}
}

func TestEmpty(t *testing.T) {
	if _, err := replay.Compile(recording{}, replay.Options{}); !errors.Is(err, replay.ErrEmpty) {
		t.Error(err)
	}
	if _, err := replay.Compile(session(), replay.Options{Pace: replay.Pace{Top: true, PPS: 1}}); !errors.Is(err, replay.ErrPace) {
		t.Error(err)
	}
}

// Steps, a seek and a loop, one event after the other.
func TestControl(t *testing.T) {
	r := session()
	p := compile(t, r, replay.Options{Pace: replay.Pace{Top: true, OneByOne: true, Loops: 2}})
	sent := make(chan []byte, 100)
	a, b := devicetest.Pipe(1500)
	world(t, b, func(pkt []byte) [][]byte {
		sent <- append([]byte(nil), pkt...)
		return nil
	})
	type result struct {
		replay.Report
		error
	}
	done := make(chan result)
	go func() {
		report, err := replay.Play(context.Background(), p, &replay.DevicePeer{Device: a})
		done <- result{report, err}
	}()
	want := func(i int) {
		t.Helper()
		it := <-sent
		n := 0
		for _, ev := range r {
			if ev.Dir != decode.ClientToServer {
				continue
			}
			if n == i && string(ev.Raw) != string(it) {
				t.Errorf("%x was sent, %x is step %d", it, ev.Raw, i)
			}
			n++
		}
	}
	p.Control.Step(2)
	want(0)
	want(1)
	p.Control.Seek(7)
	p.Control.Step(1)
	want(7)
	p.Control.Seek(8)
	p.Control.Resume()
	want(8)
	for i := range 9 { // the second loop
		want(i)
	}
	got := <-done
	if got.error != nil || got.Sent != 13 || got.Skipped != 5 || got.Loops != 2 {
		t.Errorf("%+v", got)
	}
}

// One at a time it ends with the last one.
func TestOneByOne(t *testing.T) {
	r := session()
	p := compile(t, r, replay.Options{Pace: replay.Pace{Top: true, OneByOne: true}})
	p.Control.Step(len(p.Steps))
	if report := play(t, p, recorded(t, r)); !report.Same() || report.Sent != int64(len(p.Steps)) || report.Stopped != "" {
		t.Errorf("%+v", report)
	}
	p = compile(t, r, replay.Options{Pace: replay.Pace{Top: true, OneByOne: true}})
	p.Control.Step(3)
	p.Control.End()
	if report := play(t, p, recorded(t, r)); !report.Same() || report.Sent != 3 || report.Stopped != "ended" {
		t.Errorf("ended: %+v", report)
	}
}

// The peer that fails ends it, with what was done until then.
func TestPeerFails(t *testing.T) {
	p := compile(t, session(), replay.Options{Pace: replay.Pace{PPS: 0.001}})
	a, b := devicetest.Pipe(1500)
	world(t, b, func(pkt []byte) [][]byte {
		b.Close()
		return nil
	})
	report, err := replay.Play(t.Context(), p, &replay.DevicePeer{Device: a})
	if err == nil || report.Sent != 1 || report.Stopped != "failed" {
		t.Errorf("%+v, %v", report, err)
	}
}

func TestInterrupted(t *testing.T) {
	p := compile(t, session(), replay.Options{Pace: replay.Pace{PPS: 0.001}})
	ctx, cancel := context.WithCancel(t.Context())
	a, b := devicetest.Pipe(1500)
	world(t, b, func(pkt []byte) [][]byte {
		cancel()
		return nil
	})
	report, err := replay.Play(ctx, p, &replay.DevicePeer{Device: a})
	if err != nil || report.Sent != 1 || report.Stopped != "interrupted" {
		t.Errorf("%+v, %v", report, err)
	}
}

func TestLimit(t *testing.T) {
	r := session()
	o := top()
	o.Pace.Limit, o.Pace.Loops = 12, -1
	report := play(t, compile(t, r, o), recorded(t, r))
	if report.Sent != 12 || report.Loops != 2 || report.Answered != 11 || !report.Same() || report.Stopped == "" {
		t.Errorf("%+v", report)
	}
}

// With Answer each waits for what it waited for when it was recorded.
func TestAnswerPace(t *testing.T) {
	r := session()
	answer := recorded(t, r)
	open := 0
	report := play(t, compile(t, r, replay.Options{Pace: replay.Pace{Answer: true}}), func(pkt []byte) [][]byte {
		if pkt[9] == 1 {
			open++
			if open != int(pkt[27])+1 {
				t.Errorf("echo %d is the %dth", pkt[27], open)
			}
		}
		return answer(pkt)
	})
	if !report.Same() || report.Answered != 8 {
		t.Errorf("%+v", report)
	}
}

func BenchmarkCompile(b *testing.B) {
	var r recording
	for i := range 10000 {
		r.add(i, decode.ClientToServer, echo(8, phone, server, i, "ping"))
		r.add(i, decode.ServerToClient, echo(0, server, phone, i, "ping"))
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := replay.Compile(r, replay.Options{}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(r)), "ns/packet")
}
