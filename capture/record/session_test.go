package record

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"tundump/capture"
	"tundump/capture/store"
	"tundump/decode"
	"tundump/decode/bplist"
	"tundump/decode/frame"
)

const (
	c2s = decode.ClientToServer
	s2c = decode.ServerToClient

	start = int64(1_763_800_000_000_000_000) // of all sessions, in nanoseconds
)

// session offers events to a recorder with times and offsets that fit.
type session struct {
	t    testing.TB
	rec  *Recorder
	now  int64
	off  map[uint32]*[2]int64
	sent []decode.Event
}

func newSession(t testing.TB, o Options) *session {
	t.Helper()
	rec, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	s := &session{t: t, rec: rec, now: start, off: map[uint32]*[2]int64{}}
	t.Cleanup(func() {
		rec.Close() // the test looked at its error if it matters
		if err := rec.Store().Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// offer sends one event as a batch of its own, as a relay would that read ev
// and no more.
func (s *session) offer(ev decode.Event) {
	s.now += 1_234_567
	ev.Time = s.now
	off := s.off[ev.Tunnel]
	if off == nil {
		off = new([2]int64)
		s.off[ev.Tunnel] = off
	}
	if ev.Kind.Counts() {
		ev.Offset = off[ev.Dir]
		off[ev.Dir] += int64(len(ev.Raw))
	}
	s.sent = append(s.sent, ev)
	if s.rec == nil {
		return
	}
	b := capture.NewBatch()
	n := copy(b.Grow(len(ev.Raw)), ev.Raw)
	if len(ev.Raw) > 0 {
		ev.Raw = b.Grow(n)[:n]
	}
	b.Events = append(b.Events, ev)
	s.rec.Offer(b)
	b.Release()
}

func (s *session) open(tunnel uint32, client, listener string) {
	s.offer(decode.Event{Kind: decode.Opened, Tunnel: tunnel, Detail: &decode.Detail{
		Client: netip.MustParseAddrPort(client), Listener: netip.MustParseAddrPort(listener), Upstream: "tunnel.example:8890"}})
}

func (s *session) connect(tunnel uint32, local, remote string) {
	s.offer(decode.Event{Kind: decode.Connected, Tunnel: tunnel, Detail: &decode.Detail{
		Local: netip.MustParseAddrPort(local), Remote: netip.MustParseAddrPort(remote)}})
}

func (s *session) record(tunnel uint32, dir decode.Direction, flags decode.Flags, raw []byte) {
	s.offer(decode.Event{Kind: decode.Record, Tunnel: tunnel, Dir: dir, Flags: flags, Raw: raw})
}

func (s *session) halfClose(tunnel uint32, dir decode.Direction, by decode.Party) {
	s.offer(decode.Event{Kind: decode.HalfClosed, Tunnel: tunnel, Dir: dir, Detail: &decode.Detail{By: by}})
}

func (s *session) end(tunnel uint32, kind decode.Kind, dir decode.Direction, by decode.Party) {
	s.offer(decode.Event{Kind: kind, Tunnel: tunnel, Dir: dir, Detail: &decode.Detail{By: by, Reason: "because \"it\" ended"}})
}

func (s *session) close() {
	s.t.Helper()
	if err := s.rec.Close(); err != nil {
		s.t.Fatal(err)
	}
}

// rows reads all rows of a store and waits for its end.
func rows(t testing.TB, st *store.Store) []decode.Event {
	t.Helper()
	var all []decode.Event
	for i := 0; ; i++ {
		if _, err := st.Wait(context.Background(), i); err == io.EOF {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		ev, err := st.At(i, nil)
		if errors.Is(err, store.ErrGone) {
			i = st.First() - 1
			continue
		}
		if err != nil {
			t.Fatalf("row %d: %v", i, err)
		}
		all = append(all, ev)
	}
}

// packets is a packets message of the packets given.
func packets(t testing.TB, id int64, pkts ...[]byte) []byte {
	t.Helper()
	var w bplist.Writer
	families := make([]int64, len(pkts))
	for i, p := range pkts {
		families[i] = decode.FamilyIPv4
		if len(p) > 0 && p[0]>>4 == 6 {
			families[i] = decode.FamilyIPv6
		}
	}
	root := w.Dict(
		w.String("command"), w.Int(int64(decode.Packets)), w.String("identifier"), w.Int(id),
		w.String("packets"), w.DataArray(pkts), w.String("protocols"), w.IntArray(families))
	rec, err := w.Append(frame.Reserve(nil), root)
	if err != nil {
		t.Fatal(err)
	}
	if err := frame.PutLength(rec, 0); err != nil {
		t.Fatal(err)
	}
	return rec
}

// udp is an IPv4 UDP datagram with payload bytes of data; its UDP checksum is
// left out, as IPv4 allows.
func udp(id uint16, payload int) []byte {
	p := make([]byte, 28+payload)
	p[0], p[8], p[9] = 0x45, 64, 17
	binary.BigEndian.PutUint16(p[2:], uint16(len(p)))
	binary.BigEndian.PutUint16(p[4:], id)
	copy(p[12:], []byte{10, 8, 0, 2, 10, 8, 0, 1})
	binary.BigEndian.PutUint16(p[10:], ^uint16(slowSum(p[:20])))
	binary.BigEndian.PutUint16(p[20:], 50000)
	binary.BigEndian.PutUint16(p[22:], 50001)
	binary.BigEndian.PutUint16(p[24:], uint16(8+payload))
	return p
}

func noise(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := 0; i < n; i += 8 {
		var word [8]byte
		binary.LittleEndian.PutUint64(word[:], r.Uint64())
		copy(b[i:], word[:])
	}
	return b
}

// ordinary records tunnels that do what tunnels do: IPv4 and IPv6, half-closes
// from either end, a record of several blocks, an interceptor at work, resets,
// and upstreams that refuse.
func (s *session) ordinary() {
	const client, both = decode.OnClientSide, decode.OnClientSide | decode.OnServerSide
	s.open(1, "192.168.1.7:53122", "192.168.1.1:8890")
	s.connect(1, "10.0.0.1:40001", "10.0.0.5:8890")
	s.record(1, c2s, client, packets(s.t, 7, udp(1, 100), udp(2, 1300)))
	s.record(1, s2c, client, packets(s.t, 7, udp(3, 64)))
	s.offer(decode.Event{Kind: decode.TCPInfo, Tunnel: 1, Dir: c2s, Detail: &decode.Detail{RTT: 1_200_000, Unacked: 3}})
	s.offer(decode.Event{Kind: decode.Blocked, Tunnel: 1, Dir: s2c, Detail: &decode.Detail{Wait: 14 * time.Millisecond}})
	s.record(1, c2s, both, packets(s.t, 7, udp(4, 1000)))
	s.record(1, c2s, client|decode.Dropped, packets(s.t, 7, udp(5, 10)))
	s.record(1, c2s, decode.OnServerSide|decode.Injected, packets(s.t, 7, udp(6, 20)))
	s.record(1, s2c, both, make([]byte, 200_001))
	s.halfClose(1, c2s, decode.Client)
	s.record(1, s2c, both, packets(s.t, 7, udp(7, 30)))
	s.halfClose(1, s2c, decode.Server)
	s.end(1, decode.Closed, s2c, decode.Server)

	s.open(2, "[2001:db8:1::2]:50000", "[2001:db8:1::1]:8890")
	s.connect(2, "[::ffff:10.0.0.1]:40002", "10.0.0.5:8890")
	s.record(2, c2s, client, packets(s.t, -1, udp(8, 500)))
	s.record(2, s2c, client, make([]byte, 65515+65515+1))
	s.end(2, decode.Reset, c2s, decode.Client)
	s.end(2, decode.Closed, c2s, decode.Client)

	s.open(3, "192.168.1.8:1000", "192.168.1.1:8890")
	s.end(3, decode.Refused, c2s, decode.Nobody)
	s.end(3, decode.Closed, c2s, decode.Proxy)

	s.open(4, "192.168.1.9:1000", "[::]:8890")
	s.connect(4, "10.0.0.1:40004", "10.0.0.5:8890")
	s.offer(decode.Event{Kind: decode.Unframed, Tunnel: 4, Dir: c2s, Flags: client, Raw: []byte("GET / HTTP/1.1\r\n\r\n"),
		Detail: &decode.Detail{Reason: "length 542393671 is more than 131072"}})
	s.record(4, s2c, client, packets(s.t, 1, udp(9, 9)))
	s.end(4, decode.Reset, s2c, decode.Server)
	s.end(4, decode.Closed, s2c, decode.Server)
}

// addrPort reads an address; an empty one is the unknown.
func addrPort(s string) netip.AddrPort {
	if s == "" {
		return netip.AddrPort{}
	}
	return netip.MustParseAddrPort(s)
}
