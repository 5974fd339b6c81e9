package export

import (
	"net/netip"
	"strconv"

	"tundump/capture/pcapng"
	"tundump/capture/session"
	"tundump/decode"
)

// maxTalks bounds how many conversations are rebuilt at a time. When there are
// more, the others end without a word.
const maxTalks = 65_536

// talks are the conversations that are rebuilt.
type talks struct {
	exporter *Exporter
	open     map[uint32]map[talkKey]*talk // by tunnel
	count    int
	made     uint32
}

// talkKey names one: a tunnel's own has no identifier, an app proxy's datagrams
// have one for each remote end.
type talkKey struct {
	tunnel uint32
	id     int64
	remote string
	outer  bool
}

// isnStep keeps the sequence numbers of conversations with the same addresses
// apart.
const isnStep = 0x9e3779b1

func (s *talks) add(k talkKey, t *talk, client, server netip.AddrPort) {
	if s.count >= maxTalks {
		s.open, s.count = nil, 0
	}
	if s.open == nil {
		s.open = make(map[uint32]map[talkKey]*talk)
	}
	if s.open[k.tunnel] == nil {
		s.open[k.tunnel] = make(map[talkKey]*talk)
	}
	if s.open[k.tunnel][k] == nil {
		s.count++
	}
	s.made++
	t.begin(client, server, s.made*isnStep)
	s.open[k.tunnel][k] = t
}

func (s *talks) get(k talkKey) *talk { return s.open[k.tunnel][k] }

func (s *talks) remove(k talkKey) {
	if s.get(k) != nil {
		delete(s.open[k.tunnel], k)
		s.count--
	}
}

// emitter returns what writes the packets of t that r makes.
func (s *talks) emitter(r *session.Row, t *talk, tag *pcapng.Tag) emit {
	e := s.exporter
	return func(d decode.Direction, pkt []byte) error {
		e.name = append(e.name[:0], t.name...)
		tag.Dir = d
		e.text = tag.Append(e.text[:0])
		if e.opt.Outer { // it would be taken for a row of ours
			e.text = e.text[len("tundump:1 "):]
		}
		return e.rebuilt(r, d, pkt)
	}
}

// outer writes what an event does to the tunnel's own connection.
func (s *talks) outer(r *session.Row) error {
	ev := &r.Event
	if ev.Tunnel == 0 || ev.Kind.Counts() && ev.Flags&(decode.OnClientSide|decode.OnServerSide) == decode.OnServerSide {
		return nil
	}
	k := talkKey{tunnel: ev.Tunnel, outer: true}
	t := s.get(k)
	if t == nil {
		if ev.Kind == decode.Closed {
			return nil
		}
		t = &talk{}
		if s.exporter.opt.Split != NoSplit {
			t.name = "-T" + strconv.FormatUint(uint64(ev.Tunnel), 10)
		}
		client, server := ends(r.Tunnel.Addresses.Client, r.Tunnel.Addresses.Listener, ev.Tunnel)
		s.add(k, t, client, server)
	}
	tag := pcapng.Tag{Tunnel: ev.Tunnel, Number: ev.Number, Offset: ev.Offset, Flags: ev.Flags}
	out := s.emitter(r, t, &tag)
	switch ev.Kind {
	case decode.Opened:
		return t.handshake(out)
	case decode.Record, decode.Unframed:
		return t.data(ev.Dir, ev.Raw, out)
	case decode.Gap:
		if ev.Detail != nil {
			t.gap(ev.Dir, ev.Detail.Len)
		}
	case decode.HalfClosed:
		return t.end(ev.Dir, out)
	case decode.Reset:
		d := decode.ServerToClient
		if ev.Detail != nil && ev.Detail.By == decode.Client {
			d = decode.ClientToServer
		}
		return t.abort(d, out)
	case decode.Closed:
		s.remove(k)
		return t.endBoth(decode.ServerToClient, out)
	}
	return nil
}

// ends makes two addresses that one connection can have: addresses for
// documentation (RFC 5737, RFC 3849) stand in for what is not known.
func ends(client, server netip.AddrPort, n uint32) (netip.AddrPort, netip.AddrPort) {
	client, server = plain(client), plain(server)
	v6 := server.Addr().Is6()
	if !server.Addr().IsValid() {
		v6 = client.Addr().Is6()
		server = netip.AddrPortFrom(standIn(v6, 1, 0), max(server.Port(), 1))
	}
	if !client.Addr().IsValid() || client.Addr().Is6() != v6 {
		const ports = 64_000
		port := client.Port()
		if port == 0 {
			port = uint16(1024 + n%ports)
		}
		client = netip.AddrPortFrom(standIn(v6, 0, n/ports), port)
	}
	return client, server
}

func plain(a netip.AddrPort) netip.AddrPort {
	ip := a.Addr().Unmap().WithZone("")
	if ip.IsUnspecified() {
		ip = netip.Addr{}
	}
	return netip.AddrPortFrom(ip, a.Port())
}

// standIn is address n of 192.0.2.0/24 for clients, 198.18.0.0/15 (RFC 2544)
// for servers that only have a name, or of two networks of 2001:db8::/32.
func standIn(v6 bool, end byte, n uint32) netip.Addr {
	n++
	switch {
	case v6:
		return netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 7: end, 13: byte(n >> 16), 14: byte(n >> 8), 15: byte(n)})
	case end == 0:
		return netip.AddrFrom4([4]byte{192, 0, 2, byte(1 + n%250)})
	}
	return netip.AddrFrom4([4]byte{198, 18 | byte(n>>16&1), byte(n >> 8), byte(n)})
}
