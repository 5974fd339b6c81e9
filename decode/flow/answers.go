package flow

import (
	"net/netip"

	"tundump/decode/packet"
)

// question names what waits for an answer: a DNS query by the flow it is in
// and its identifier, or an echo request.
type question struct {
	proto    packet.Transport
	tunnel   uint32
	stream   int64
	id, seq  uint16
	from, to netip.Addr
}

type query struct {
	number int64
	time   int64
}

// newQuestion is how long, in nanoseconds, the same query again counts as
// repeated. Source: tshark, which takes it for a new one after that.
const newQuestion = 5_000_000_000

// answers matches a DNS answer to its query, and learns names from it.
func (t *Table) answers(p *Packet, fl *Flow, a *Analysis) {
	if !t.parser.DNS(p.Facts, &t.dns) {
		return
	}
	k := question{proto: fl.Proto, stream: fl.Stream, id: t.dns.ID}
	if !t.dns.Response {
		if q, ok := t.asked.get(k); !ok || p.Time-q.time > newQuestion {
			t.asked.put(k, query{p.Number, p.Time})
		}
		return
	}
	t.answered(k, p, a)
	t.learn(p.Tunnel)
}

func (t *Table) answered(k question, p *Packet, a *Analysis) {
	if q, ok := t.asked.get(k); ok {
		a.AnswerTo, a.Latency = q.number, p.Time-q.time
		t.asked.remove(k)
	}
}

// echo matches an echo reply to its request.
func (t *Table) echo(p *Packet, a *Analysis) {
	f := p.Facts
	if !f.HasICMPID() || !f.Dst.IsValid() {
		return
	}
	k := question{proto: f.Transport, tunnel: p.Tunnel, id: f.ICMPID, seq: f.ICMPSeq, from: f.Src, to: f.Dst}
	request, reply := uint8(8), uint8(0)
	if f.Transport == packet.ICMPv6 {
		request, reply = 128, 129
	}
	switch f.Type {
	case request:
		t.asked.put(k, query{p.Number, p.Time})
	case reply:
		k.from, k.to = k.to, k.from
		t.answered(k, p, a)
	}
}

type nameKey struct {
	tunnel uint32
	addr   netip.Addr
}

// learn notes under which name the addresses in a DNS answer were asked for.
func (t *Table) learn(tunnel uint32) {
	m := &t.dns
	if len(m.Questions) == 0 || m.RCode != 0 || m.Malformed {
		return
	}
	name := m.Questions[0].Name
	for i := range m.Records {
		r := &m.Records[i]
		if r.Section != packet.DNSAnswer || !r.Addr.IsValid() {
			continue
		}
		k := nameKey{tunnel, r.Addr}
		if known, ok := t.names.get(k); !ok || known != string(name) {
			t.names.put(k, string(name))
		}
	}
}

// Name returns the name for which a DNS answer in the tunnel gave addr, the
// last one if there were several; "" if there was none. It is safe to print.
func (t *Table) Name(tunnel uint32, addr netip.Addr) string {
	name, _ := t.names.get(nameKey{tunnel, addr})
	return name
}
