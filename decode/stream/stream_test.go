package stream

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"tundump/decode"
	"tundump/decode/bplist"
	"tundump/decode/frame"
)

// record builds a record with these keys, all integers.
func record(tb testing.TB, keys ...any) []byte {
	tb.Helper()
	var w bplist.Writer
	var refs []bplist.Ref
	for _, k := range keys {
		switch k := k.(type) {
		case string:
			refs = append(refs, w.String(k))
		case int:
			refs = append(refs, w.Int(int64(k)))
		}
	}
	b, err := w.Append(frame.Reserve(nil), w.Dict(refs...))
	if err != nil {
		tb.Fatal(err)
	}
	if err := frame.PutLength(b, 0); err != nil {
		tb.Fatal(err)
	}
	return b
}

func command(tb testing.TB, c decode.Command) []byte {
	return record(tb, "command", int(c), "identifier", 99)
}

// wire writes the packets of one TCP connection.
type wire struct {
	tb       testing.TB
	a, b     netip.AddrPort // a is the one that connects
	next     [2]uint32
	link     func(ip []byte) []byte
	linkType uint16
	f        *Finder
	time     int64
}

func connection(tb testing.TB, f *Finder, a, b string) *wire {
	w := &wire{tb: tb, f: f, a: netip.MustParseAddrPort(a), b: netip.MustParseAddrPort(b), linkType: linkRaw}
	w.next = [2]uint32{1000, 0xffffff00}
	return w
}

const (
	flagFIN = 1 << iota
	flagSYN
	flagRST
	flagPSH
	flagACK
)

// ip builds the packet that side 0 (a) or 1 (b) sends next.
func (w *wire) ip(side int, flags byte, payload []byte) []byte {
	from, to := w.a, w.b
	if side == 1 {
		from, to = w.b, w.a
	}
	tcp := make([]byte, 20)
	binary.BigEndian.PutUint16(tcp, from.Port())
	binary.BigEndian.PutUint16(tcp[2:], to.Port())
	binary.BigEndian.PutUint32(tcp[4:], w.next[side])
	if flags&flagACK != 0 {
		binary.BigEndian.PutUint32(tcp[8:], w.next[1-side])
	}
	tcp[12], tcp[13] = 5<<4, flags
	w.next[side] += uint32(len(payload))
	if flags&(flagSYN|flagFIN) != 0 {
		w.next[side]++
	}
	tcp = append(tcp, payload...)
	return ipPacket(from.Addr(), to.Addr(), tcp)
}

func ipPacket(from, to netip.Addr, tcp []byte) []byte {
	var h []byte
	if from.Is4() {
		h = make([]byte, 20)
		h[0], h[8], h[9] = 0x45, 64, 6
		binary.BigEndian.PutUint16(h[2:], uint16(20+len(tcp)))
		copy(h[12:], from.AsSlice())
		copy(h[16:], to.AsSlice())
	} else {
		h = make([]byte, 40)
		h[0], h[6], h[7] = 0x60, 6, 64
		binary.BigEndian.PutUint16(h[4:], uint16(len(tcp)))
		copy(h[8:], from.AsSlice())
		copy(h[24:], to.AsSlice())
	}
	return append(h, tcp...)
}

func (w *wire) packet(ip []byte) {
	if w.link != nil {
		ip = w.link(ip)
	}
	w.time++
	w.f.Packet(&Packet{LinkType: w.linkType, Time: w.time, Data: ip})
}

func (w *wire) send(side int, flags byte, payload []byte) { w.packet(w.ip(side, flags, payload)) }

func (w *wire) handshake() {
	w.send(0, flagSYN, nil)
	w.send(1, flagSYN|flagACK, nil)
	w.send(0, flagACK, nil)
}

// lose lets bytes go by that are not captured.
func (w *wire) lose(side int, payload []byte) { w.next[side] += uint32(len(payload)) }

func (w *wire) finish() {
	w.send(0, flagFIN|flagACK, nil)
	w.send(1, flagFIN|flagACK, nil)
	w.send(0, flagACK, nil)
}

// told writes events down: T1 opened a>b, T1 >record 65.
type told struct{ lines []string }

func (t *told) add(ev *decode.Event) {
	s := fmt.Sprintf("T%d %s%v", ev.Tunnel, ev.Dir.Arrow(), ev.Kind)
	switch {
	case ev.Kind == decode.Opened:
		s = fmt.Sprintf("T%d opened %v>%v", ev.Tunnel, ev.Detail.Client, ev.Detail.Listener)
		if ev.Detail.Since != 0 {
			s += " joined"
		}
	case ev.Kind == decode.Gap:
		s += fmt.Sprintf(" %d", ev.Detail.Len)
	case len(ev.Raw) > 0:
		s += fmt.Sprintf(" %d", len(ev.Raw))
	}
	t.lines = append(t.lines, s)
}

func (t *told) check(tb testing.TB, name string, want ...string) {
	tb.Helper()
	if !slices.Equal(t.lines, want) {
		tb.Errorf("%s:\n\t%s\nwant\n\t%s", name, strings.Join(t.lines, "\n\t"), strings.Join(want, "\n\t"))
	}
}

func finder(o Options) (*Finder, *told) {
	t := new(told)
	return New(o, t.add), t
}

const client, server = "10.0.0.1:50000", "10.0.0.2:8890"

func TestLinkTypes(t *testing.T) {
	prefix := func(p ...byte) func(ip []byte) []byte {
		return func(ip []byte) []byte { return append(bytes.Clone(p), ip...) }
	}
	mac := make([]byte, 12)
	pktap := make([]byte, 108)
	binary.LittleEndian.PutUint32(pktap, 108)
	binary.LittleEndian.PutUint32(pktap[4:], 1)
	binary.LittleEndian.PutUint32(pktap[8:], linkEthernet)
	for _, tt := range []struct {
		name string
		link uint16
		head []byte
	}{
		{"Ethernet", linkEthernet, append(mac, 8, 0)},
		{"VLAN", linkEthernet, append(mac, 0x81, 0, 0, 42, 8, 0)},
		{"QinQ", linkEthernet, append(mac, 0x88, 0xa8, 0, 1, 0x81, 0, 0, 42, 8, 0)},
		{"PPPoE", linkEthernet, append(mac, 0x88, 0x64, 0x11, 0, 0, 1, 0, 100, 0, 0x21)},
		{"SLL", linkSLL, append(make([]byte, 14), 8, 0)},
		{"SLL2", linkSLL2, append([]byte{8, 0}, make([]byte, 18)...)},
		{"NULL", linkNull, []byte{2, 0, 0, 0}},
		{"NULL, big-endian", linkNull, []byte{0, 0, 0, 2}},
		{"LOOP", linkLoop, []byte{0, 0, 0, 2}},
		{"RAW 12", linkRawBSD, nil}, {"RAW 14", linkRawOpen, nil}, {"RAW 101", linkRaw, nil}, {"RAW 228", linkIPv4, nil},
		{"PPP", linkPPP, []byte{0xff, 3, 0, 0x21}},
		{"PPP, compressed", linkPPP, []byte{0x21}},
		{"PPP HDLC", linkPPPHDLC, []byte{0x0f, 3, 0, 0x21}},
		{"PKTAP", linkPktap, append(bytes.Clone(pktap), append(mac, 8, 0)...)},
		{"PKTAP as USER2", linkPktapUser, append(bytes.Clone(pktap), append(mac, 8, 0)...)},
	} {
		f, got := finder(Options{})
		w := connection(t, f, client, server)
		w.linkType, w.link = tt.link, prefix(tt.head...)
		w.handshake()
		w.send(0, flagPSH|flagACK, command(t, decode.Open))
		got.check(t, tt.name, "T1 opened 10.0.0.1:50000>10.0.0.2:8890", "T1 >record 77")
		if f.Stats().IP != 4 {
			t.Errorf("%s: %+v", tt.name, f.Stats())
		}
		if n := len(tt.head); n > 0 { // headers that are cut are no packets and nothing worse
			for i := range n {
				if _, ok := network(tt.link, tt.head[:i]); ok {
					t.Errorf("%s: a header of %d bytes has a packet behind it", tt.name, i)
				}
			}
		}
	}
}

func TestTunnels(t *testing.T) {
	open, result, data := command(t, decode.Open), command(t, decode.OpenResult), command(t, decode.Data)
	web := bytes.Repeat([]byte("GET / HTTP/1.1\r\n"), 4096)
	opened := "T1 opened 10.0.0.1:50000>10.0.0.2:8890"
	for _, tt := range []struct {
		name string
		opt  Options
		do   func(f *Finder, w *wire)
		want []string
	}{
		{"from open to close", Options{}, func(f *Finder, w *wire) {
			w.handshake()
			w.send(0, flagACK, open)
			w.send(1, flagACK, result)
			w.finish()
			w.send(1, flagACK, data) // what comes late belongs to nobody
		}, []string{opened, "T1 >record 77", "T1 <record 77", "T1 >half-closed", "T1 <half-closed", "T1 >closed"}},
		{"reset", Options{}, func(f *Finder, w *wire) {
			w.handshake()
			w.send(0, flagACK, open)
			w.send(1, flagRST|flagACK, nil)
		}, []string{opened, "T1 >record 77", "T1 <reset", "T1 <closed"}},
		{"a reset that was made up", Options{}, func(f *Finder, w *wire) {
			w.handshake()
			w.send(0, flagACK, open)
			w.next[1] += 1 << 30
			w.send(1, flagRST|flagACK, nil)
			w.next[1] -= 1 << 30
			w.send(1, flagACK, result)
		}, []string{opened, "T1 >record 77", "T1 <record 77"}},
		{"the one that accepts is the client", Options{}, func(f *Finder, w *wire) {
			w.handshake()
			w.send(1, flagACK, open)
		}, []string{"T1 opened 10.0.0.2:8890>10.0.0.1:50000", "T1 >record 77"}},
		{"joined, told by content", Options{}, func(f *Finder, w *wire) {
			w.send(0, flagACK, result)
			w.send(1, flagACK, nil)
		}, []string{"T1 opened 10.0.0.2:8890>10.0.0.1:50000 joined", "T1 <record 77"}},
		{"joined, told by port", Options{}, func(f *Finder, w *wire) {
			w.send(1, flagACK, data)
			w.send(0, flagACK, nil)
		}, []string{opened + " joined", "T1 <record 77"}},
		{"joined inside a record", Options{}, func(f *Finder, w *wire) {
			w.send(0, flagACK, append(bytes.Clone(data[20:]), data...))
			w.send(1, flagACK, nil)
		}, []string{opened + " joined", "T1 >unframed 57", "T1 >record 77"}},
		{"lost inside a record", Options{}, func(f *Finder, w *wire) {
			w.handshake()
			w.send(0, flagACK, open)
			w.send(0, flagACK, data[:30])
			w.lose(0, data[30:40])
			w.send(0, flagACK, append(bytes.Clone(data[40:]), data...))
			w.send(1, flagACK, nil)
		}, []string{opened, "T1 >record 77", "T1 >unframed 30", "T1 >gap 10", "T1 >unframed 37", "T1 >record 77"}},
		{"lost from one record into the next", Options{}, func(f *Finder, w *wire) {
			w.handshake()
			w.send(0, flagACK, open)
			w.send(0, flagACK, data[:30])
			w.lose(0, make([]byte, 77))
			w.send(0, flagACK, append(bytes.Clone(data[30:]), data...))
			w.send(1, flagACK, nil)
		}, []string{opened, "T1 >record 77", "T1 >unframed 30", "T1 >gap 77", "T1 >unframed 47", "T1 >record 77"}},
		{"a jump", Options{}, func(f *Finder, w *wire) {
			w.handshake()
			w.send(0, flagACK, open)
			w.next[0] += 5 << 29
			for range oddSegments + 1 {
				w.send(0, flagACK, data)
			}
		}, []string{opened, "T1 >record 77", "T1 >gap 2684354791", "T1 >record 77", "T1 >record 77"}},
		{"the same ports again", Options{}, func(f *Finder, w *wire) {
			w.handshake()
			w.send(0, flagACK, open)
			w.next[0] += 100_000
			w.handshake()
			w.send(0, flagACK, open)
		}, []string{opened, "T1 >record 77", "T2" + opened[2:], "T2 >record 77"}},
		{"no tunnel", Options{}, func(f *Finder, w *wire) {
			w.handshake()
			w.send(0, flagACK, web[:1000])
			w.send(1, flagACK, web[:60000])
			w.send(1, flagACK, open)
		}, nil},
		{"the port named", Options{Ports: []uint16{8890}}, func(f *Finder, w *wire) {
			w.handshake()
			w.send(0, flagACK, web[:1000])
			w.finish()
		}, []string{opened, "T1 >unframed 1000", "T1 >half-closed", "T1 <half-closed", "T1 >closed"}},
		{"another port named", Options{Ports: []uint16{8891}}, func(f *Finder, w *wire) {
			w.handshake()
			w.send(0, flagACK, open)
		}, nil},
		{"the beginning of a record and no more", Options{}, func(f *Finder, w *wire) {
			w.handshake()
			w.send(0, flagACK, data[:20])
		}, []string{opened, "T1 >unframed 20"}},
		{"too many connections", Options{Connections: 2}, func(f *Finder, w *wire) {
			w.handshake()
			w.send(0, flagACK, open)
			for i := range 10 {
				o := connection(w.tb, f, fmt.Sprintf("10.0.0.3:%d", 1000+i), server)
				o.handshake()
			}
			w.send(0, flagACK, data)
		}, []string{opened, "T1 >record 77", "T1 >record 77"}},
		{"too little memory", Options{Memory: 100_000}, func(f *Finder, w *wire) {
			w.handshake()
			w.send(0, flagACK, open)
			long := slices.Concat([]byte{0, 0, 1, 0}, []byte("bplist00"), make([]byte, 65536-12))
			for len(long) > 0 {
				n := min(len(long), 1000)
				w.send(0, flagACK, long[:n])
				long = long[n:]
			}
			w.send(0, flagACK, data)
		}, nil},
	} {
		f, got := finder(tt.opt)
		w := connection(t, f, client, server)
		tt.do(f, w)
		f.End()
		if tt.opt.Memory > 0 {
			if last := got.lines[len(got.lines)-1]; last != "T1 >record 77" {
				t.Errorf("%s: the last event is %s", tt.name, last)
			}
		} else {
			got.check(t, tt.name, tt.want...)
		}
		if f.table.held != 0 || f.table.reasm.Used() != 0 {
			t.Errorf("%s: %d and %d bytes are still counted", tt.name, f.table.held, f.table.reasm.Used())
		}
	}
}

// Datagrams in fragments, in any order and more than once, are put together.
func TestFragments(t *testing.T) {
	for _, addrs := range [][2]string{{client, server}, {"[2001:db8::1]:50000", "[2001:db8::2]:8890"}} {
		f, got := finder(Options{})
		w := connection(t, f, addrs[0], addrs[1])
		w.handshake()
		whole := w.ip(0, flagACK, command(t, decode.Open))
		for _, part := range slices.Backward(split(whole, 32)) {
			w.packet(part)
			w.packet(part)
		}
		if len(got.lines) != 2 || got.lines[1] != "T1 >record 77" {
			t.Errorf("%v: %q", addrs, got.lines)
		}
	}
	f, _ := finder(Options{})
	w := connection(t, f, client, server)
	for i := range 10_000 {
		part := split(w.ip(0, flagACK, make([]byte, 1400)), 1024)[0]
		binary.BigEndian.PutUint16(part[4:], uint16(i))
		w.packet(part)
	}
	if datagrams, bytes := f.frags.Held(); datagrams > 256 || bytes > 4<<20 {
		t.Errorf("%d datagrams, %d bytes are held", datagrams, bytes)
	}
}

// split cuts an IP packet into fragments of n bytes.
func split(ip []byte, n int) [][]byte {
	header := 20
	if ip[0]>>4 == 6 {
		header = 40
	}
	var parts [][]byte
	for off := 0; off < len(ip)-header; off += n {
		b := ip[header+off : min(len(ip), header+off+n)]
		more := header+off+n < len(ip)
		h := bytes.Clone(ip[:header])
		field := off
		if more {
			field |= 1
		}
		if header == 20 {
			binary.BigEndian.PutUint16(h[2:], uint16(20+len(b)))
			binary.BigEndian.PutUint16(h[4:], 77)
			field = off / 8
			if more {
				field |= 0x2000
			}
			binary.BigEndian.PutUint16(h[6:], uint16(field))
		} else {
			binary.BigEndian.PutUint16(h[4:], uint16(8+len(b)))
			h[6] = 44
			h = append(h, 6, 0, byte(field>>8), byte(field), 0, 0, 0, 77)
		}
		parts = append(parts, append(h, b...))
	}
	return parts
}

// Bare packets are handed out as they are, without padding.
func TestBare(t *testing.T) {
	var dirs string
	var sizes []int
	f := New(Options{Bare: true}, func(ev *decode.Event) {
		dirs += ev.Dir.Arrow()
		sizes = append(sizes, len(ev.Raw))
	})
	w := connection(t, f, client, server)
	w.linkType = linkEthernet
	w.link = func(ip []byte) []byte {
		b := append(append(make([]byte, 12), 8, 0), ip...)
		return append(b, make([]byte, max(0, 60-len(b)))...)
	}
	w.send(0, flagSYN, nil)
	w.send(1, flagSYN|flagACK, nil)
	w.send(0, flagACK, make([]byte, 100))
	if dirs != "><>" || !slices.Equal(sizes, []int{40, 40, 140}) {
		t.Errorf("%s %v", dirs, sizes)
	}
}

// Whatever comes: no panic, memory within its bounds, records only where
// their bytes fit, and offsets that follow each other.
func FuzzPackets(f *testing.F) {
	var seed []byte
	rec := command(f, decode.Open)
	fd, _ := finder(Options{})
	w := connection(f, fd, client, server)
	for _, ip := range [][]byte{w.ip(0, flagSYN, nil), w.ip(1, flagSYN|flagACK, nil), w.ip(0, flagACK, rec[:30]), w.ip(0, flagACK, rec[30:]), w.ip(0, flagFIN|flagACK, nil)} {
		seed = append(append(seed, byte(len(ip)), 0), ip...)
	}
	for _, link := range []uint16{linkRaw, linkEthernet, linkPktap, linkSLL, linkPPP} {
		f.Add(link, seed, false)
	}
	f.Add(uint16(linkRaw), seed, true)
	f.Fuzz(func(t *testing.T, link uint16, b []byte, ported bool) {
		o := Options{Memory: 1 << 20, Connections: 4}
		if ported {
			o.Ports = []uint16{8890}
		}
		type stream struct {
			tunnel uint32
			dir    decode.Direction
		}
		at := map[stream]int64{}
		state := map[uint32]decode.Kind{}
		fd := New(o, func(ev *decode.Event) {
			switch last := state[ev.Tunnel]; {
			case ev.Kind == decode.Opened:
				if last != 0 {
					t.Fatal("a tunnel is opened twice")
				}
			case last == 0 || last == decode.Closed:
				t.Fatalf("%v behind %v", ev.Kind, last)
			}
			state[ev.Tunnel] = ev.Kind
			if ev.Offset != at[stream{ev.Tunnel, ev.Dir}] && ev.Kind != decode.Opened {
				t.Fatalf("%v at %d, the stream is at %d", ev.Kind, ev.Offset, at[stream{ev.Tunnel, ev.Dir}])
			}
			n := int64(len(ev.Raw))
			if ev.Kind == decode.Gap {
				n = ev.Detail.Len
			}
			if ev.Kind.Counts() && n <= 0 {
				t.Fatalf("%v of %d bytes", ev.Kind, n)
			}
			at[stream{ev.Tunnel, ev.Dir}] += n
		})
		for time := int64(1); len(b) >= 2; time++ {
			n := min(int(binary.LittleEndian.Uint16(b)), len(b)-2)
			fd.Packet(&Packet{LinkType: link, Time: time, Data: b[2 : 2+n]})
			b = b[2+n:]
			if fd.table.held > 1<<20 || len(fd.table.conns) > 4 {
				t.Fatalf("%d bytes, %d connections are held", fd.table.held, len(fd.table.conns))
			}
		}
		fd.End()
		if fd.table.held != 0 || fd.table.reasm.Used() != 0 {
			t.Fatalf("%d and %d bytes are still counted", fd.table.held, fd.table.reasm.Used())
		}
	})
}

// BenchmarkSegment is a tunnel's segment of 1,400 bytes that holds a record.
func BenchmarkSegment(b *testing.B) {
	rec := command(b, decode.Data)
	payload := bytes.Repeat(rec, 1400/len(rec))
	f := New(Options{}, func(*decode.Event) {})
	w := connection(b, f, client, server)
	w.handshake()
	w.send(0, flagACK, command(b, decode.Open))
	ip := w.ip(0, flagACK, payload)
	p := Packet{LinkType: linkRaw, Data: ip}
	seq := binary.BigEndian.Uint32(ip[24:])
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	for b.Loop() {
		f.Packet(&p)
		seq += uint32(len(payload))
		binary.BigEndian.PutUint32(ip[24:], seq)
	}
	if f.Stats().Tunnels != 1 {
		b.Fatal("no tunnel")
	}
}
