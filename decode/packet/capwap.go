package packet

import "encoding/binary"

// CAPWAP carries the frames of wireless stations between an access point and
// its controller: on the data channel, Ethernet or 802.11 frames, which carry
// IP packets.

// capwapHeader returns the length of the header of a CAPWAP data packet that
// is not encrypted; whole says that what follows it is a frame, and native
// that it is one of 802.11.
//
// Source: RFC 5415, section 4.3; RFC 5416 for the wireless binding 1.
func capwapHeader(b []byte) (n int, native, whole, ok bool) {
	if len(b) < 8 || b[0] != 0 { // version 0, a CAPWAP header follows
		return 0, false, false, false
	}
	bits := binary.BigEndian.Uint32(b)
	n = int(bits>>19&31) * 4
	native = bits&0x100 != 0
	fragment, keepAlive := bits&0x80 != 0, bits&8 != 0
	if n < 8 || n > len(b) {
		return 0, false, false, false
	}
	return n, native, !fragment && !keepAlive && (!native || bits>>9&31 == 1), true
}

func confirmsCAPWAP(b []byte) bool {
	_, _, _, ok := capwapHeader(b)
	return ok
}

// capwapPacket returns where the IP packet begins that a CAPWAP data packet
// carries; 0 if it carries none.
func capwapPacket(b []byte) int {
	n, native, whole, ok := capwapHeader(b)
	if !ok || !whole {
		return 0
	}
	frame := b[n:]
	if !native {
		w := unwrapper{proto: etherTEB, rest: frame}
		for w.next() {
		}
		if !w.ip {
			return 0
		}
		return len(b) - len(w.rest)
	}
	if len(frame) < 2 {
		return 0
	}
	// Controllers of Cisco's send the two bytes of frame control the other way
	// round, as tshark expects of all.
	for _, control := range [...][2]byte{{frame[1], frame[0]}, {frame[0], frame[1]}} {
		if at := wlanPacket(control[0], control[1], frame); at > 0 {
			return n + at
		}
	}
	return 0
}

// wlanPacket returns where the IP packet begins that an 802.11 data frame
// carries; 0 if it carries none or is encrypted.
//
// Source: IEEE 802.11-2020, section 9.2.3; RFC 1042 for LLC and SNAP.
func wlanPacket(kind, flags byte, frame []byte) int {
	const data, toDS, fromDS, protected, order = 8, 1, 2, 0x40, 0x80
	if kind&0x0f != data || kind&0x40 != 0 || flags&protected != 0 {
		return 0
	}
	n := 24
	if flags&(toDS|fromDS) == toDS|fromDS {
		n += 6
	}
	if kind&0x80 != 0 { // quality of service
		n += 2
		if flags&order != 0 {
			n += 4
		}
	}
	const llc = 8
	if len(frame) <= n+llc || string(frame[n:n+6]) != "\xaa\xaa\x03\x00\x00\x00" {
		return 0
	}
	switch binary.BigEndian.Uint16(frame[n+6:]) {
	case etherIPv4, etherIPv6:
		return n + llc
	}
	return 0
}

// carriedAt returns where in the payload the packet inside begins.
func (f *Facts) carriedAt() int {
	if f.App == AppCAPWAP {
		return capwapPacket(f.Payload)
	}
	return 0
}

// carriedBytes returns the bytes of the packet inside.
func (f *Facts) carriedBytes() []byte { return f.Payload[f.carriedAt():] }

func appendCAPWAP(dst, b []byte) []byte {
	bits := binary.BigEndian.Uint32(b)
	switch {
	case bits&8 != 0:
		return append(dst, "CAPWAP-Data Keep-Alive"...)
	case bits&0x80 != 0:
		return append(dst, "CAPWAP-Data (Fragment)"...)
	}
	return append(dst, "CAPWAP-Data"...)
}

// appendCAPWAPLayers appends what stands in front of the packet inside.
func appendCAPWAPLayers(dst, b []byte) []byte {
	at := capwapPacket(b)
	_, native, whole, _ := capwapHeader(b)
	switch {
	case whole && native:
		dst = append(dst, ":wlan"...)
		if at > 0 {
			dst = append(dst, ":llc"...)
		}
	case whole:
		dst = append(dst, ":eth:ethertype"...)
	}
	return dst
}

// capwap yields the header's parts, which are no fields.
func (e *emitter) capwap() {
	if !confirmsCAPWAP(e.b) {
		return
	}
	v := uint64(binary.BigEndian.Uint32(e.b))
	for _, part := range [...]struct {
		label      string
		shift, max uint64
	}{
		{"Header Length, in words", 19, 31}, {"Radio ID", 14, 31}, {"Wireless Binding ID", 9, 31},
		{"Payload Type: native frame format", 8, 1}, {"Fragment", 7, 1}, {"Last Fragment", 6, 1},
		{"Wireless header", 5, 1}, {"Radio MAC header", 4, 1}, {"Keep-Alive", 3, 1},
	} {
		e.bits("", part.label, 1, 3, v>>part.shift&part.max, KindUint)
	}
}
