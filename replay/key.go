package replay

import (
	"encoding/binary"
	"hash/maphash"
	"net/netip"

	"tundump/decode"
	"tundump/decode/packet"
)

// class says how a request finds its answer.
type class uint8

const (
	noClass      class = iota
	echoClass          // ICMP echo by addresses, identifier and sequence number
	dnsClass           // DNS by addresses, ports, identifier and question
	synClass           // TCP's first segment by addresses, ports and sequence number
	udpClass           // other UDP by the reverse tuple
	otherClass         // other protocols by addresses and protocol number
	messageClass       // messages by tunnel, connection and command
)

// once reports whether a request of the class has one answer: the same answer
// again is a repetition and nothing new.
func (c class) once() bool { return c == echoClass || c == dnsClass || c == synClass }

// key is what a request and its answer have in common, hashed with a seed of
// its own, so that nobody can make packets whose keys collide.
type key uint64

// keyer computes keys and sums. It is for one goroutine.
type keyer struct {
	seed   maphash.Seed
	loose  bool               // what one recording has and another has not is left out: see Diff
	opened map[flowKey]uint64 // loose: what connections were opened for
	parser *packet.Parser
	dns    packet.DNSMessage
	quoted packet.Facts
	first  []byte // the first part of a datagram, as if it were all
	hash   maphash.Hash
}

func newKeyer(seed maphash.Seed) *keyer {
	k := &keyer{seed: seed, parser: packet.NewParser()}
	k.hash.SetSeed(seed)
	return k
}

// request returns the key of what a packet asks, noClass if it asks nothing.
func (k *keyer) request(tunnel uint32, f *packet.Facts) (key, class) {
	switch {
	case f.Version == 0 || !f.Dst.IsValid() || f.FragOffset > 0 || f.MF:
		return 0, noClass
	case f.Transport == packet.TCP:
		if f.Flags&(packet.SYN|packet.ACK|packet.RST|packet.FIN) != packet.SYN {
			return 0, noClass
		}
		return k.tuple(synClass, tunnel, f, false, uint64(f.Seq+1)), synClass
	case f.Transport == packet.ICMP || f.Transport == packet.ICMPv6:
		if f.Transport == packet.ICMP && f.Type != 8 || f.Transport == packet.ICMPv6 && f.Type != 128 {
			return 0, noClass
		}
		return k.tuple(echoClass, tunnel, f, false, uint64(f.ICMPID)<<16|uint64(f.ICMPSeq)), echoClass
	case f.Transport == packet.UDP:
		if k.isDNS(f, false) {
			return k.question(tunnel, f, false), dnsClass
		}
		return k.tuple(udpClass, tunnel, f, false, 0), udpClass
	}
	return k.tuple(otherClass, tunnel, f, false, uint64(f.Proto)), otherClass
}

// answer returns the key of the request that a packet answers, noClass if it
// answers none.
func (k *keyer) answer(tunnel uint32, f *packet.Facts) (key, class) {
	switch {
	case f.Version == 0 || !f.Dst.IsValid() || f.FragOffset > 0 || f.MF:
		return 0, noClass
	case f.Transport == packet.TCP:
		syn := f.Flags&(packet.SYN|packet.ACK) == packet.SYN|packet.ACK
		rst := f.Flags&packet.RST != 0 && f.Flags&packet.ACK != 0
		if !syn && !rst {
			return 0, noClass
		}
		return k.tuple(synClass, tunnel, f, true, uint64(f.Ack)), synClass
	case f.Transport == packet.ICMP && f.Type == 0, f.Transport == packet.ICMPv6 && f.Type == 129:
		return k.tuple(echoClass, tunnel, f, true, uint64(f.ICMPID)<<16|uint64(f.ICMPSeq)), echoClass
	case f.Transport == packet.ICMP || f.Transport == packet.ICMPv6:
		q := f.Quoted()
		if len(q) == 0 {
			return 0, noClass
		}
		k.quote(q)
		return k.request(tunnel, &k.quoted)
	case f.Transport == packet.UDP:
		if k.isDNS(f, true) {
			return k.question(tunnel, f, true), dnsClass
		}
		return k.tuple(udpClass, tunnel, f, true, 0), udpClass
	}
	return k.tuple(otherClass, tunnel, f, true, uint64(f.Proto)), otherClass
}

// quote reads what an error quotes into k.quoted. The first part of a datagram
// stands for all of it: it has what requests are told apart by.
func (k *keyer) quote(q []byte) {
	f := &k.quoted
	k.parser.Facts(q, f)
	if !f.MF || f.FragOffset > 0 {
		return
	}
	const more4, more6, header6 = 0x20, 1, 8
	k.first = append(k.first[:0], q...)
	switch {
	case f.Version == 4:
		k.first[6] &^= more4
	case f.HdrLen >= header6: // whose fragment header is the last that was read
		k.first[f.HdrLen-header6+3] &^= more6
	}
	k.parser.Facts(k.first, f)
}

// isDNS decodes a DNS message into k.dns. One without a question has nothing
// to be matched by but its ports.
func (k *keyer) isDNS(f *packet.Facts, response bool) bool {
	return f.App == packet.AppDNS && k.parser.DNS(f, &k.dns) && k.dns.Response == response && len(k.dns.Questions) > 0
}

// tuple hashes addresses, ports and id; an answer's the other way round.
func (k *keyer) tuple(c class, tunnel uint32, f *packet.Facts, answer bool, id uint64) key {
	k.begin(c, tunnel, f, answer, id)
	return key(k.hash.Sum64())
}

func (k *keyer) begin(c class, tunnel uint32, f *packet.Facts, answer bool, id uint64) {
	src, dst, sport, dport := f.Src, f.Dst, f.SrcPort, f.DstPort
	if answer {
		src, dst, sport, dport = dst, src, dport, sport
	}
	if k.loose {
		src, sport = netip.Addr{}, 0
		if c != otherClass {
			id = 0
		}
	}
	var b [1 + 4 + 16 + 16 + 2 + 2 + 8]byte
	b[0] = byte(c)
	binary.LittleEndian.PutUint32(b[1:], tunnel)
	putAddr(b[5:21], src)
	putAddr(b[21:37], dst)
	binary.LittleEndian.PutUint16(b[37:], sport)
	binary.LittleEndian.PutUint16(b[39:], dport)
	binary.LittleEndian.PutUint64(b[41:], id)
	k.hash.Reset()
	k.hash.Write(b[:])
}

func putAddr(b []byte, a netip.Addr) {
	if !a.IsValid() {
		clear(b[:16])
		return
	}
	x := a.As16()
	copy(b, x[:])
}

// question hashes what a DNS message is about. Names are equal whatever the
// case of their letters, which resolvers mix on purpose.
func (k *keyer) question(tunnel uint32, f *packet.Facts, answer bool) key {
	k.begin(dnsClass, tunnel, f, answer, uint64(k.dns.ID))
	q := &k.dns.Questions[0]
	for _, c := range q.Name {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		k.hash.WriteByte(c)
	}
	k.hash.WriteByte(byte(q.Type))
	k.hash.WriteByte(byte(q.Type >> 8))
	return key(k.hash.Sum64())
}

// message returns the key of a message that carries no packets.
func (k *keyer) message(tunnel uint32, m *decode.Message) (key, class) {
	var b [1 + 4 + 8 + 8]byte
	what := m.CommandNumber
	switch m.Command {
	case 0:
		return 0, noClass
	case decode.OpenResult:
		what = int64(decode.Open)
	}
	b[0] = byte(messageClass)
	binary.LittleEndian.PutUint32(b[1:], tunnel)
	id := uint64(m.Identifier)
	if k.loose {
		id = k.purpose(tunnel, m)
	}
	binary.LittleEndian.PutUint64(b[5:], id)
	binary.LittleEndian.PutUint64(b[13:], uint64(what))
	k.hash.Reset()
	k.hash.Write(b[:])
	return key(k.hash.Sum64()), messageClass
}

// purpose is what a connection was opened for, which stands for its identifier
// where those differ.
func (k *keyer) purpose(tunnel uint32, m *decode.Message) uint64 {
	if !m.HasIdentifier {
		return 0
	}
	c := flowKey{tunnel: tunnel, id: m.Identifier}
	if m.Command != decode.Open {
		return k.opened[c]
	}
	k.hash.Reset()
	for _, key := range [...]decode.Key{decode.KeyTunnelType, decode.KeyAppProxyFlowType, decode.KeyPort} {
		n, _ := m.Int(key)
		var b [8]byte
		binary.LittleEndian.PutUint64(b[:], uint64(n))
		k.hash.Write(b[:])
	}
	host, _ := m.Host()
	k.hash.WriteString(host)
	p := k.hash.Sum64()
	if k.opened == nil {
		k.opened = make(map[flowKey]uint64)
	}
	if _, known := k.opened[c]; known || len(k.opened) < maxFlows {
		k.opened[c] = p
	}
	return p
}

// sum hashes what the comparison looks at by default: two packets of equal
// sums do not differ. See [Rules].
func (k *keyer) sum(f *packet.Facts) uint64 {
	var b [16 + 16 + 16]byte
	b[32], b[33] = f.Version, f.Proto
	if !k.loose { // else they are in the key, as far as they count
		putAddr(b[0:], f.Src)
		putAddr(b[16:], f.Dst)
		binary.LittleEndian.PutUint16(b[34:], f.SrcPort)
		binary.LittleEndian.PutUint16(b[36:], f.DstPort)
	}
	k.hash.Reset()
	switch f.Transport {
	case packet.TCP:
		binary.LittleEndian.PutUint16(b[38:], f.Flags&comparedFlags)
		k.hash.Write(b[:])
		return k.hash.Sum64()
	case packet.ICMP, packet.ICMPv6:
		b[38], b[39] = f.Type, f.Code
		if !k.loose {
			binary.LittleEndian.PutUint16(b[40:], f.ICMPID)
			binary.LittleEndian.PutUint16(b[42:], f.ICMPSeq)
		}
		binary.LittleEndian.PutUint32(b[44:], f.MTU)
		k.hash.Write(b[:])
		if f.Quoted() == nil { // how much is quoted is the sender's choice
			k.hash.Write(f.Payload)
		}
		return k.hash.Sum64()
	}
	if f.App == packet.AppDNS && k.parser.DNS(f, &k.dns) && !k.dns.Malformed {
		return k.sumDNS(&b)
	}
	k.hash.Write(b[:])
	k.hash.Write(f.Payload)
	return k.hash.Sum64()
}

// sumDNS hashes what k.dns says, whatever the order of its records and
// however long they may be kept.
func (k *keyer) sumDNS(b *[48]byte) uint64 {
	m := &k.dns
	b[38] = m.RCode
	if m.Response {
		b[39] = 1
	}
	k.hash.Write(b[:])
	for _, q := range m.Questions {
		k.hash.Write(q.Name)
		k.hash.WriteByte(byte(q.Type))
		k.hash.WriteByte(byte(q.Type >> 8))
	}
	sum := k.hash.Sum64()
	for i := range m.Records {
		r := &m.Records[i]
		k.hash.Reset()
		k.hash.WriteByte(byte(r.Section))
		k.hash.WriteByte(byte(r.Type))
		k.hash.WriteByte(byte(r.Type >> 8))
		k.hash.Write(r.Name)
		k.hash.WriteByte(0)
		k.hash.Write(r.Data)
		sum += k.hash.Sum64()
	}
	return sum
}

func (k *keyer) sumBytes(b []byte) uint64 {
	k.hash.Reset()
	k.hash.Write(b)
	return k.hash.Sum64()
}
