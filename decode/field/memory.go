package field

import "tundump/decode/packet"

// Memory is what reading values reuses, so that values that have to be made
// need no allocation. Where a row has one, its values are valid until Reset.
type Memory struct {
	text  []byte
	dns   packet.DNSMessage
	asked *packet.Facts // whose DNS message it is
	isDNS bool
}

// Reset gives everything back that was made since the last Reset. It must be
// called before another row is read.
func (m *Memory) Reset() {
	m.text = m.text[:0]
	m.asked = nil
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

// dns returns the packet's DNS message, decoded once for all its fields; nil
// if it carries none.
func (r *Row) dns() *packet.DNSMessage {
	if r.Packet.App == packet.NoApp {
		return nil
	}
	m := r.Memory
	if m == nil {
		m = new(Memory)
	}
	if m.asked != r.Packet {
		m.asked, m.isDNS = r.Packet, r.Parser.DNS(r.Packet, &m.dns)
	}
	if !m.isDNS {
		return nil
	}
	return &m.dns
}
