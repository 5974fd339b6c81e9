package packet

import "encoding/binary"

func nbnsOpcode(op int) string {
	switch op {
	case 0:
		return "Name query"
	case 5:
		return "Registration"
	case 6:
		return "Release"
	case 7:
		return "Wait and acknowledge"
	case 8:
		return "Refresh"
	case 9:
		return "Refresh(altcode)"
	case 15:
		return "Multi-homed registration"
	}
	return ""
}

func confirmsNBNS(b []byte) bool {
	return len(b) >= dnsHeaderLen && nbnsOpcode(int(b[2]>>3&15)) != ""
}

// appendNBNS reads the first name, of a question or a record.
//
// Source: RFC 1002, sections 4.1 and 4.2.
func (f *Facts) appendNBNS(dst []byte) []byte {
	b := f.Payload
	response := b[2]&0x80 != 0
	dst = append(dst, nbnsOpcode(int(b[2]>>3&15))...)
	if response {
		dst = append(dst, " response"...)
		if code := b[3] & 15; code != 0 {
			dst = appendInt(append(dst, ", error "...), int(code))
		}
	}
	off := dnsHeaderLen
	name, next, ok := nbnsName(b, off)
	if !ok {
		return dst
	}
	switch uint16At(b, next) {
	case 0x20:
		dst = append(dst, " NB"...)
	case 0x21:
		dst = append(dst, " NBSTAT"...)
	default:
		return dst
	}
	if response {
		if n := uint16At(b, next+8); uint16At(b, next) == 0x20 && n >= 6 && next+16 <= len(b) {
			a := addr4(b[next+12:])
			return a.AppendTo(append(dst, ' '))
		}
		return dst
	}
	return append(append(dst, ' '), name...)
}

// nbnsName decodes a first-level encoded name: two letters a byte, the 16th of
// which is the name's type.
func nbnsName(b []byte, off int) (name []byte, next int, ok bool) {
	const encoded = 32
	if off+2+encoded > len(b) || b[off] != encoded || b[off+1+encoded] != 0 {
		return nil, 0, false
	}
	var raw [encoded / 2]byte
	for i := range raw {
		hi, lo := b[off+1+2*i]-'A', b[off+2+2*i]-'A'
		if hi > 15 || lo > 15 {
			return nil, 0, false
		}
		raw[i] = hi<<4 | lo
	}
	n := 15
	for n > 0 && (raw[n-1] == ' ' || raw[n-1] == 0) {
		n--
	}
	name = AppendSafe(nil, raw[:n])
	name = append(appendHex(append(name, '<'), uint64(raw[15]), 2), '>')
	return name, off + 2 + encoded, true
}

// confirmsSSDP tests for HTTP over UDP, which SSDP is.
func confirmsSSDP(b []byte) bool {
	for _, start := range [...]string{"M-SEARCH ", "NOTIFY ", "HTTP/1."} {
		if len(b) >= len(start) && string(b[:len(start)]) == start {
			return true
		}
	}
	return false
}

// appendFirstLine appends the first line of text, and a space, as tshark does.
func appendFirstLine(dst, b []byte) []byte {
	for i, c := range b {
		if c == '\r' || c == '\n' {
			b = b[:i]
			break
		}
	}
	return append(AppendSafe(dst, b[:min(len(b), 512)]), ' ')
}

const wgTransport = 4

// looksLikeWireGuard tests type, reserved bytes and length. Source: the
// WireGuard paper, section 5.4.
func looksLikeWireGuard(b []byte) bool {
	if len(b) < 32 || b[1]|b[2]|b[3] != 0 {
		return false
	}
	switch b[0] {
	case 1:
		return len(b) == 148
	case 2:
		return len(b) == 92
	case 3:
		return len(b) == 64
	}
	return b[0] == wgTransport && len(b)%16 == 0
}

var wgTypes = [...]string{1: "Handshake Initiation", "Handshake Response", "Cookie Reply", "Transport Data"}

func (f *Facts) appendWireGuard(dst []byte) []byte {
	b := f.Payload
	id := func(dst []byte, name string, off int) []byte {
		const upper = "0123456789ABCDEF"
		dst = append(append(append(dst, ", "...), name...), "=0x"...)
		v := binary.LittleEndian.Uint32(b[off:])
		for shift := 28; shift >= 0; shift -= 4 {
			dst = append(dst, upper[v>>shift&15])
		}
		return dst
	}
	if !looksLikeWireGuard(b) {
		return append(dst, malformed...)
	}
	if b[0] == wgTransport && len(b) == 32 {
		dst = append(dst, "Keepalive"...)
	} else {
		dst = append(dst, wgTypes[b[0]]...)
	}
	switch b[0] {
	case 1:
		return id(dst, "sender", 4)
	case 2:
		return id(id(dst, "sender", 4), "receiver", 8)
	}
	dst = id(dst, "receiver", 4)
	if b[0] == wgTransport {
		dst = append(dst, ", counter="...)
		dst = appendUint64(dst, binary.LittleEndian.Uint64(b[8:]))
		if len(b) > 32 {
			dst = appendInt(append(dst, ", datalen="...), len(b)-32)
		}
	}
	return dst
}

func (e *emitter) wireguard() {
	e.word("wg.type", "Type", 0, 1, 0, func(v int) string { return lookup(wgTypes[:], v) })
	if len(e.b) < 16 {
		return
	}
	le := func(name, label string, off, n int, hex uint8) {
		v := uint64(binary.LittleEndian.Uint32(e.b[off:]))
		if n == 8 {
			v = binary.LittleEndian.Uint64(e.b[off:])
		}
		e.emit(Item{Name: name, Label: label, Kind: KindUint, Hex: hex, Num: v}, off, n)
	}
	switch e.b[0] {
	case 1:
		le("wg.sender", "Sender", 4, 4, 8)
	case 2:
		le("wg.sender", "Sender", 4, 4, 8)
		le("wg.receiver", "Receiver", 8, 4, 8)
	case 3, wgTransport:
		le("wg.receiver", "Receiver", 4, 4, 8)
		if e.b[0] == wgTransport {
			le("wg.counter", "Counter", 8, 8, 0)
		}
	}
}

var openvpnTypes = [...]string{
	1: "P_CONTROL_HARD_RESET_CLIENT_V1", "P_CONTROL_HARD_RESET_SERVER_V1", "P_CONTROL_SOFT_RESET_V1", "P_CONTROL_V1",
	"P_ACK_V1", "P_DATA_V1", "P_CONTROL_HARD_RESET_CLIENT_V2", "P_CONTROL_HARD_RESET_SERVER_V2", "P_DATA_V2",
	"P_CONTROL_HARD_RESET_CLIENT_V3", "P_CONTROL_WKC_V1",
}

// openvpnOpcode returns what an OpenVPN packet is; over TCP its length stands
// in front of it.
func openvpnOpcode(t Transport, b []byte) int {
	if t == TCP {
		if len(b) < 3 {
			return 0
		}
		b = b[2:]
	}
	if len(b) == 0 {
		return 0
	}
	return int(b[0] >> 3)
}

func confirmsOpenVPN(t Transport, b []byte) bool {
	return lookup(openvpnTypes[:], openvpnOpcode(t, b)) != ""
}

func (f *Facts) appendOpenVPN(dst []byte) []byte {
	return append(append(dst, "MessageType: "...), lookup(openvpnTypes[:], openvpnOpcode(f.Transport, f.Payload))...)
}
