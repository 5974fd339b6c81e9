package export

import (
	"net/netip"

	"tundump/decode"
	"tundump/decode/packet"
	"tundump/decode/rewrite"
)

// talk is a conversation that is rebuilt as packets: a TCP connection with
// handshake, sequence numbers and end, or datagrams. Its arrays have an element
// for each direction.
type talk struct {
	addr  [2]netip.AddrPort
	udp   bool
	name  string // of its file
	begun bool   // the handshake is written
	fin   [2]bool
	reset bool
	next  [2]uint32 // sequence number of the next byte
	acked [2]uint32 // what the other end acknowledged of it

	pkt []byte
}

const (
	window      = 65535
	windowScale = 14
	// maxUnacked is how much one end sends before the other acknowledges it,
	// inside the window of 65,535 << windowScale.
	maxUnacked = 1 << 28
)

// The options of a SYN: maximum segment size, no operation, window scale.
var (
	synOptions4 = []byte{2, 4, 1460 >> 8, 1460 & 255, 1, 3, 3, windowScale}
	synOptions6 = []byte{2, 4, 1440 >> 8, 1440 & 255, 1, 3, 3, windowScale}
)

// begin sets the addresses and the initial sequence numbers.
func (t *talk) begin(client, server netip.AddrPort, isn uint32) {
	t.addr = [2]netip.AddrPort{client, server}
	t.next = [2]uint32{isn, isn + 1<<30}
	t.acked = t.next
}

// segment makes the next TCP packet of d. It is valid until the next one.
func (t *talk) segment(d decode.Direction, flags uint16, payload []byte) []byte {
	other := d.Opposite()
	h := rewrite.TCP{Src: t.addr[d], Dst: t.addr[other], Seq: t.next[d], Flags: flags, Window: window}
	if flags&packet.SYN != 0 {
		h.Options = synOptions4
		if t.addr[0].Addr().Is6() {
			h.Options = synOptions6
		}
	}
	if flags&packet.ACK != 0 {
		h.Ack = t.next[other]
		t.acked[other] = h.Ack
	}
	t.pkt = rewrite.AppendTCP(t.pkt[:0], &h, payload)
	t.next[d] += uint32(len(payload))
	if flags&(packet.SYN|packet.FIN) != 0 {
		t.next[d]++
	}
	return t.pkt
}

// emit is what takes a packet that was made.
type emit func(d decode.Direction, pkt []byte) error

// handshake writes SYN, SYN and ACK, ACK, once.
func (t *talk) handshake(out emit) error {
	if t.begun || t.udp {
		return nil
	}
	t.begun = true
	for _, s := range []struct {
		d     decode.Direction
		flags uint16
	}{{decode.ClientToServer, packet.SYN}, {decode.ServerToClient, packet.SYN | packet.ACK}, {decode.ClientToServer, packet.ACK}} {
		if err := out(s.d, t.segment(s.d, s.flags, nil)); err != nil {
			return err
		}
	}
	return nil
}

// data writes bytes of d: what a FIN came before is sent no more.
func (t *talk) data(d decode.Direction, b []byte, out emit) error {
	if t.udp {
		t.pkt = rewrite.AppendUDP(t.pkt[:0], t.addr[d], t.addr[d.Opposite()], b[:min(len(b), rewrite.MaxPayload)])
		return out(d, t.pkt)
	}
	if t.fin[d] || t.reset {
		return nil
	}
	if err := t.handshake(out); err != nil {
		return err
	}
	if o := d.Opposite(); t.next[d]-t.acked[d] >= maxUnacked {
		if err := out(o, t.segment(o, packet.ACK, nil)); err != nil {
			return err
		}
	}
	for len(b) > 0 {
		n := min(len(b), rewrite.MaxPayload)
		flags := packet.ACK
		if n == len(b) {
			flags |= packet.PSH
		}
		if err := out(d, t.segment(d, flags, b[:n])); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// gap leaves out n bytes of d.
func (t *talk) gap(d decode.Direction, n int64) {
	if !t.udp && !t.fin[d] {
		t.next[d] += uint32(n)
	}
}

// end writes d's FIN, once, unless nothing was sent at all.
func (t *talk) end(d decode.Direction, out emit) error {
	if t.udp || !t.begun || t.fin[d] || t.reset {
		return nil
	}
	t.fin[d] = true
	if err := out(d, t.segment(d, packet.FIN|packet.ACK, nil)); err != nil {
		return err
	}
	if o := d.Opposite(); t.fin[o] { // the last acknowledgement
		return out(o, t.segment(o, packet.ACK, nil))
	}
	return nil
}

// endBoth ends what is still open.
func (t *talk) endBoth(first decode.Direction, out emit) error {
	if err := t.end(first, out); err != nil {
		return err
	}
	return t.end(first.Opposite(), out)
}

// abort writes a RST of d.
func (t *talk) abort(d decode.Direction, out emit) error {
	if t.udp || !t.begun || t.reset || t.fin[0] && t.fin[1] {
		return nil
	}
	t.reset = true
	return out(d, t.segment(d, packet.RST|packet.ACK, nil))
}

// refuse writes a SYN and the RST that answers it.
func (t *talk) refuse(out emit) error {
	if t.udp || t.begun {
		return nil
	}
	t.begun, t.reset = true, true
	if err := out(decode.ClientToServer, t.segment(decode.ClientToServer, packet.SYN, nil)); err != nil {
		return err
	}
	t.next[1] = 0
	return out(decode.ServerToClient, t.segment(decode.ServerToClient, packet.RST|packet.ACK, nil))
}
