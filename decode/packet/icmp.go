package packet

import "encoding/binary"

const icmpLen = 8

// icmpHead reads what both versions begin with.
func (f *Facts) icmpHead(t Transport, s []byte) bool {
	if len(s) < 2 {
		f.cutTransport(s)
		return false
	}
	f.Transport = t
	f.Type, f.Code = s[0], s[1]
	if len(s) < icmpLen {
		f.cutTransport(s)
		return false
	}
	f.L4Complete = true
	f.L4Checksum = binary.BigEndian.Uint16(s[2:])
	f.setPayload(s[icmpLen:])
	if f.isError() && !f.IsFragment() && len(s) > icmpLen {
		f.Carries = Quoted
	}
	return true
}

// icmp reads the ICMP header in s. Source: RFC 792; RFC 1191 for the MTU.
func (f *Facts) icmp(s []byte) {
	if !f.icmpHead(ICMP, s) {
		return
	}
	switch {
	case f.isQuery():
		f.ICMPID = binary.BigEndian.Uint16(s[4:])
		f.ICMPSeq = binary.BigEndian.Uint16(s[6:])
	case f.Type == 3 && f.Code == 4:
		f.MTU = uint32(binary.BigEndian.Uint16(s[6:]))
	}
}

// icmpv6 reads the ICMPv6 header in s. Source: RFC 4443.
func (f *Facts) icmpv6(s []byte) {
	if !f.icmpHead(ICMPv6, s) {
		return
	}
	switch {
	case f.isQuery():
		f.ICMPID = binary.BigEndian.Uint16(s[4:])
		f.ICMPSeq = binary.BigEndian.Uint16(s[6:])
	case f.Type == 2:
		f.MTU = binary.BigEndian.Uint32(s[4:])
	}
}

// isQuery reports whether the message has an identifier and a sequence number.
func (f *Facts) isQuery() bool {
	if f.Transport == ICMPv6 {
		return f.Type == 128 || f.Type == 129
	}
	switch f.Type {
	case 0, 8, 13, 14, 15, 16, 17, 18:
		return true
	}
	return false
}

// HasICMPID reports whether ICMPID and ICMPSeq apply.
func (f *Facts) HasICMPID() bool { return f.L4Complete && f.isQuery() }

// isError reports whether the message quotes the packet that caused it.
func (f *Facts) isError() bool {
	switch f.Transport {
	case ICMP:
		switch f.Type {
		case 3, 4, 5, 11, 12:
			return true
		}
	case ICMPv6:
		return f.Type >= 1 && f.Type <= 4
	}
	return false
}

// Quoted returns the packet that an ICMP error is about, as much of it as the
// error quotes; nil if the message is no error. It aliases f's packet.
func (f *Facts) Quoted() []byte {
	if f.Carries != Quoted {
		return nil
	}
	return f.Payload
}
