package packet

import "encoding/binary"

const (
	tcpMinLen = 20
	udpLen    = 8
)

// TCP option kinds, RFC 9293 section 3.2, RFC 7323, RFC 2018.
const (
	optEnd           = 0
	optNop           = 1
	optMSS           = 2
	optWScale        = 3
	optSACKPermitted = 4
	optSACK          = 5
	optTimestamps    = 8
)

// ports reads what TCP and UDP begin with.
func (f *Facts) ports(t Transport, s []byte) bool {
	if len(s) < 4 {
		f.cutTransport(s)
		return false
	}
	f.Transport = t
	f.SrcPort = binary.BigEndian.Uint16(s)
	f.DstPort = binary.BigEndian.Uint16(s[2:])
	return true
}

// cutTransport notes that s ends inside the transport header. A first
// fragment may do so.
func (f *Facts) cutTransport(s []byte) {
	f.setPayload(nil)
	if !f.IsFragment() {
		f.wrong(ProblemTransportCut, f.HdrLen+len(s), 0)
	}
}

// tcp reads the TCP header in s.
//
// Source: RFC 9293, section 3.1; RFC 3168 and RFC 9768 for the upper flags.
func (f *Facts) tcp(s []byte) {
	if !f.ports(TCP, s) {
		return
	}
	if len(s) < tcpMinLen {
		f.cutTransport(s)
		return
	}
	f.L4Complete = true
	f.Seq = binary.BigEndian.Uint32(s[4:])
	f.Ack = binary.BigEndian.Uint32(s[8:])
	f.TCPHdrLen = int(s[12]>>4) * 4
	f.Flags = binary.BigEndian.Uint16(s[12:]) & 0xfff
	f.Window = binary.BigEndian.Uint16(s[14:])
	f.L4Checksum = binary.BigEndian.Uint16(s[16:])
	f.Urgent = binary.BigEndian.Uint16(s[18:])
	if f.TCPHdrLen < tcpMinLen {
		f.wrong(ProblemTCPHeaderLen, f.HdrLen+12, 1)
		f.setPayload(nil)
		return
	}
	if len(s) < f.TCPHdrLen {
		f.cutTransport(s)
		f.tcpOptions(s[tcpMinLen:])
		return
	}
	f.setPayload(s[f.TCPHdrLen:])
	f.tcpOptions(s[tcpMinLen:f.TCPHdrLen])
}

func (f *Facts) tcpOptions(opts []byte) {
	for off := tcpMinLen; len(opts) > 0; {
		kind, data, n := nextTCPOption(opts)
		if n == 0 {
			f.wrong(ProblemTCPOption, f.HdrLen+off, len(opts))
			return
		}
		switch {
		case kind == optEnd:
			return
		case kind == optMSS && len(data) == 2:
			f.MSS = binary.BigEndian.Uint16(data)
		case kind == optWScale && len(data) == 1:
			f.WScale = int8(min(data[0], 127))
		case kind == optSACKPermitted && len(data) == 0:
			f.SACKPermitted = true
		case kind == optSACK:
			for ; len(data) >= 8; data = data[8:] {
				f.SACKed += binary.BigEndian.Uint32(data[4:]) - binary.BigEndian.Uint32(data)
			}
		case kind == optTimestamps && len(data) == 8:
			f.HasTS = true
			f.TSVal = binary.BigEndian.Uint32(data)
			f.TSEcr = binary.BigEndian.Uint32(data[4:])
		}
		opts = opts[n:]
		off += n
	}
}

// nextTCPOption reads the option that b, not empty, begins with: its kind, its
// data and its whole length. n is 0 if its length does not fit.
func nextTCPOption(b []byte) (kind uint8, data []byte, n int) {
	kind = b[0]
	if kind <= optNop {
		return kind, nil, 1
	}
	if len(b) < 2 || b[1] < 2 || int(b[1]) > len(b) {
		return kind, nil, 0
	}
	n = int(b[1])
	return kind, b[2:n], n
}

// udp reads the UDP header in s. Source: RFC 768.
func (f *Facts) udp(s []byte) {
	if !f.ports(UDP, s) {
		return
	}
	if len(s) < udpLen {
		f.cutTransport(s)
		return
	}
	f.L4Complete = true
	f.UDPLen = int(binary.BigEndian.Uint16(s[4:]))
	f.L4Checksum = binary.BigEndian.Uint16(s[6:])
	end := len(s)
	switch {
	case f.UDPLen < udpLen:
		f.wrong(ProblemUDPLength, f.HdrLen+4, 2)
	case f.UDPLen <= len(s):
		end = f.UDPLen
	case !f.IsFragment():
		f.wrong(ProblemUDPLength, f.HdrLen+4, 2)
	}
	f.setPayload(s[udpLen:end])
}
