package export

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"strconv"

	"tundump/capture/pcapng"
	"tundump/capture/session"
	"tundump/decode"
)

// appProxy writes what a message does to a connection of an app proxy, or ends
// those of a tunnel that is closed.
func (s *talks) appProxy(r *session.Row) error {
	if r.Event.Kind == decode.Closed {
		return s.closeTunnel(r)
	}
	m := r.Message
	if !m.HasIdentifier || m.Command == decode.Packets || r.Event.Flags&decode.Dropped != 0 {
		return nil
	}
	k := talkKey{tunnel: r.Event.Tunnel, id: m.Identifier}
	switch m.Command {
	case decode.Open:
		return s.openFlow(r, k)
	case decode.Data:
		return s.flowData(r, k)
	case decode.OpenResult, decode.Close:
		return s.flowState(r, k)
	}
	return nil
}

// openFlow takes in the opening of a connection; its handshake waits for the
// answer.
func (s *talks) openFlow(r *session.Row, k talkKey) error {
	m := r.Message
	kind, _ := m.Int(decode.KeyTunnelType)
	if kind != decode.TunnelApp || r.Event.Dir != decode.ClientToServer {
		return nil
	}
	if !s.exporter.opt.AppProxy {
		s.exporter.stats.Flows++
		return nil
	}
	if f, _ := m.Int(decode.KeyAppProxyFlowType); f != decode.FlowTCP {
		return nil // datagrams say themselves where they go
	}
	host, _ := m.Host()
	port, _ := m.Port()
	return s.start(k, r, host, port, false)
}

// start begins a conversation with a host that may only have a name.
func (s *talks) start(k talkKey, r *session.Row, host string, port int64, udp bool) error {
	e := s.exporter
	t := &talk{udp: udp}
	if e.opt.Split != NoSplit {
		t.name = "-T" + strconv.FormatUint(uint64(k.tunnel), 10)
	}
	if e.opt.Split == ByFlow {
		t.name += "-id" + strconv.FormatInt(k.id, 10)
	}
	var server netip.AddrPort
	if p := uint16(port); int64(p) == port {
		server = netip.AddrPortFrom(netip.Addr{}, p)
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		addr = standIn(false, 1, s.made)
		e.name = append(e.name[:0], t.name...)
		if err := e.addName(pcapng.Name{Addr: addr, Name: host}); err != nil {
			return err
		}
	}
	client, server := ends(netip.AddrPort{}, netip.AddrPortFrom(addr, server.Port()), s.made)
	s.add(k, t, client, server)
	return nil
}

func (s *talks) flowEmitter(r *session.Row, k talkKey, t *talk) emit {
	return s.emitter(r, t, &pcapng.Tag{Tunnel: k.tunnel, Number: r.Event.Number, Offset: r.Event.Offset, Flags: r.Event.Flags, Inner: true, Identifier: k.id})
}

// flowData writes the bytes of a connection, or a datagram to or from the
// endpoint that it names.
func (s *talks) flowData(r *session.Row, k talkKey) error {
	m := r.Message
	b, ok := m.Data()
	if !ok || !s.exporter.opt.AppProxy {
		return nil
	}
	if t := s.get(k); t != nil {
		return t.data(r.Event.Dir, b, s.flowEmitter(r, k, t))
	}
	if !m.HasEndpoint() {
		return nil // of a connection whose opening was not seen
	}
	host, _ := m.Host()
	port, _ := m.Port()
	remote := k
	remote.remote = host + " " + strconv.FormatInt(port, 10)
	if s.get(remote) == nil {
		if err := s.start(remote, r, host, port, true); err != nil {
			return err
		}
	}
	t := s.get(remote)
	return t.data(r.Event.Dir, b, s.flowEmitter(r, k, t))
}

// flowState writes the handshake of a connection that was accepted, the reset
// of one that was not, and what a close says.
func (s *talks) flowState(r *session.Row, k talkKey) error {
	m, t := r.Message, s.get(k)
	if t == nil {
		return nil
	}
	out := s.flowEmitter(r, k, t)
	if m.Command == decode.OpenResult {
		if n, ok := m.Int(decode.KeyResultCode); !ok || n == decode.ResultSuccess {
			return t.handshake(out)
		}
		return s.refused(k, t, out)
	}
	how, _ := m.Int(decode.KeyCloseType)
	switch how {
	case decode.CloseNone:
		return nil
	case decode.CloseWrite:
		return t.end(r.Event.Dir, out)
	case decode.CloseRead:
		return t.end(r.Event.Dir.Opposite(), out)
	}
	s.remove(k)
	return t.endBoth(r.Event.Dir, out)
}

// refused writes a SYN and the RST that answers it.
func (s *talks) refused(k talkKey, t *talk, out emit) error {
	s.remove(k)
	if t.begun {
		return t.abort(decode.ServerToClient, out)
	}
	return t.refuse(out)
}

// closeTunnel ends the connections of a tunnel.
func (s *talks) closeTunnel(r *session.Row) error {
	flows := s.open[r.Event.Tunnel]
	s.count -= len(flows)
	delete(s.open, r.Event.Tunnel)
	keys := slices.SortedFunc(maps.Keys(flows), func(a, b talkKey) int {
		return cmp.Or(cmp.Compare(a.id, b.id), cmp.Compare(a.remote, b.remote))
	})
	for _, k := range keys {
		t := flows[k]
		if err := t.endBoth(decode.ServerToClient, s.flowEmitter(r, k, t)); err != nil {
			return err
		}
	}
	return nil
}
