package field

import "tundump/decode/packet"

// Memory is what reading values reuses, so that values that have to be made
// need no allocation. Where a row has one, its values are valid until Reset.
type Memory struct {
	text []byte

	packets   []packet.Facts // inside the row's
	packetsOf *packet.Facts

	list   []item
	first  []int         // of each field of the table, in list and counted from 1; 0: none
	listOf *packet.Facts // whose items they are
	add    func(*packet.Item) bool

	units   []packet.PDU
	unitsOf *packet.Facts

	messages   []packet.TLSMessage
	hellos     []packet.TLSHello // among them
	messagesOf *packet.Facts
}

// item is one value that a protocol was decoded into.
type item struct {
	packet.Item
	next int // the next one of its name, in list and counted from 1; 0: none
}

// Reset gives everything back that was made since the last Reset. It must be
// called before another row is read.
func (m *Memory) Reset() {
	m.text = m.text[:0]
	m.packetsOf, m.listOf, m.unitsOf, m.messagesOf = nil, nil, nil, nil
}

// safeText makes a value of the safe text that write appends.
func (r *Row) safeText(write func(dst []byte) []byte) Value {
	m := r.Memory
	if m == nil {
		return safeBytes(write(nil))
	}
	at := len(m.text)
	m.text = write(m.text) // if it moves, values made before keep the old place
	return safeBytes(m.text[at:])
}

// inside returns the packets inside the row's, the outermost first.
func (r *Row) inside() []packet.Facts {
	if r.Packet.Carries == packet.NotInside {
		return nil
	}
	m := r.Memory
	if m == nil {
		m = new(Memory)
	}
	if m.packetsOf == r.Packet {
		return m.packets
	}
	m.packetsOf, m.packets = r.Packet, m.packets[:0]
	for depth, f := 0, r.Parser.Inside(r.Packet, 0); f != nil; depth++ {
		m.packets = append(m.packets, *f)
		f = r.Parser.Inside(f, depth+1)
	}
	return m.packets
}

// items decodes the packet, and those inside it, into what they are decoded
// into on request: once for all fields.
func (r *Row) items() *Memory {
	m := r.Memory
	if m == nil {
		m = new(Memory)
	}
	if m.listOf == r.Packet {
		return m
	}
	if m.add == nil {
		m.add, m.first = m.take, make([]int, len(table))
	}
	m.listOf, m.list = r.Packet, m.list[:0]
	r.Parser.Items(r.Packet, m.add)
	inside := r.inside()
	for i := range inside {
		r.Parser.Items(&inside[i], m.add)
	}
	clear(m.first)
	for i := len(m.list) - 1; i >= 0; i-- {
		it := &m.list[i]
		if at, ok := index[it.Name]; ok {
			it.next, m.first[at] = m.first[at], i+1
		}
	}
	return m
}

// maxItems limits what is kept of one packet.
const maxItems = 1 << 14

// take keeps an item; what it aliases of a decoder is copied.
func (m *Memory) take(it *packet.Item) bool {
	m.list = append(m.list, item{Item: *it})
	if it.Kind == packet.KindSafe {
		at := len(m.text)
		m.text = append(m.text, it.Raw...)
		m.list[len(m.list)-1].Raw = m.text[at:]
	}
	return len(m.list) < maxItems
}

// handshake returns the TLS handshake messages in the clear in the packet's
// units, in TLS records and in QUIC packets, and the hellos among them.
func (r *Row) handshake() ([]packet.TLSMessage, []packet.TLSHello) {
	m := r.Memory
	if m == nil {
		m = new(Memory)
	}
	if m.messagesOf == r.Packet {
		return m.messages, m.hellos
	}
	m.messagesOf, m.messages, m.hellos = r.Packet, m.messages[:0], m.hellos[:0]
	list := units(r)
	for i := range list {
		for msg, rest, ok := packet.NextTLSMessage(list[i].TLSHandshake()); ok; msg, rest, ok = packet.NextTLSMessage(rest) {
			m.messages = append(m.messages, msg)
			if h, _ := packet.TLSHelloOf(msg); h.Random != nil {
				m.hellos = append(m.hellos, h)
			}
		}
	}
	return m.messages, m.hellos
}
