package packet

import "iter"

// PDU is one unit of a protocol above the transport: a TLS record, an HTTP
// message, a QUIC packet. In TCP it may span packets; it belongs to the one
// in which it ends.
//
// Its slices are valid as long as the packet, or what put it together, says.
type PDU struct {
	App App
	// Kind says that it is less than a whole unit.
	Kind PDUKind
	// Earlier: it began in an earlier packet.
	Earlier bool
	// Len is its length in its stream or datagram, in bytes.
	Len int64
	// Data is what there is of its bytes, from the first on: all where it lies
	// in one packet; of a TLS record that does not, the header at least; of an
	// HTTP message all before the body, at least.
	Data []byte
	// Clear is what it says in the clear. Of a TLS record: the handshake
	// messages that end in it, which may have begun in an earlier record, or
	// the alert; nil if it is encrypted. Of a QUIC packet: the frames, if it
	// could be decrypted.
	Clear []byte
	// Handshake is the TLS handshake messages that the CRYPTO frames of a QUIC
	// packet complete.
	Handshake []byte
	// Session is the version of the TLS session as far as it is known here;
	// 0: not known.
	Session uint16
	// Number is a QUIC packet's, if Numbered.
	Number   uint64
	Numbered bool
	// IDLen is the length of the connection identifier in a QUIC packet with
	// a short header; -1: not known.
	IDLen int
}

// PDUKind is what a PDU is, if it is not a whole unit.
type PDUKind uint8

const (
	WholePDU     PDUKind = iota
	Continuation         // bytes whose beginning is not known
	CutPDU               // the beginning of a unit, in a packet that is looked at alone
)

// PDUs returns the units in f's packet, as far as the packet alone shows them:
// those that begin in it, the last of which may be cut. It knows nothing of
// what the flow has agreed on: a packet that only goes on with a unit is a
// continuation, and nothing but a QUIC client's first packets can be
// decrypted. They are valid until the next call of a method of p.
func (p *Parser) PDUs(f *Facts) []PDU {
	p.pdus = p.pdus[:0]
	f = p.Innermost(f)
	switch f.App {
	case AppTLS:
		p.pdus = tlsPDUs(p.pdus, f.Payload)
	case AppHTTP, AppSSDP: // SSDP is HTTP in datagrams
		p.pdus = httpPDUs(p.pdus, f.Payload)
	case AppQUIC:
		p.pdus = p.quic.pdus(p.pdus, f.Payload)
	default: // QUIC in what an ICMP error quotes, as in tshark
		if q := p.Inside(f, 0); q != nil && f.Carries == Quoted && q.App == AppQUIC {
			p.pdus = p.quic.pdus(p.pdus, q.Payload)
		}
	}
	return p.pdus
}

// TLSMessages yields the TLS handshake messages in the clear that end in the
// unit.
func (u *PDU) TLSMessages() iter.Seq[TLSMessage] { return TLSMessages(u.TLSHandshake()) }

// TLSHandshake returns the bytes of what TLSMessages yields.
func (u *PDU) TLSHandshake() []byte {
	switch {
	case u.App == AppQUIC:
		return u.Handshake
	case u.App == AppTLS && len(u.Data) > 0 && u.Data[0] == TLSHandshake:
		return u.Clear
	}
	return nil
}

// AppendPDUs appends what the info column says of units, in tshark's words.
// start is where in dst the column begins: tshark writes a comma between what
// stands there and a TLS record.
func (p *Parser) AppendPDUs(dst []byte, start int, pdus []PDU) []byte {
	for i := range pdus {
		switch u := &pdus[i]; {
		case u.App == AppTLS:
			dst = u.appendTLS(dst, start)
		case u.App == AppHTTP:
			dst = u.appendHTTP(dst)
		case u.App == AppQUIC && i == len(pdus)-1: // of the last packet in a datagram only
			dst = u.appendQUIC(dst)
		}
	}
	return dst
}

// Column returns what the protocol column says of the unit.
func (u *PDU) Column() string {
	if u.App == AppTLS {
		return u.tlsColumn()
	}
	return apps[u.App].column
}
