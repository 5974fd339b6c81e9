package packet

import "encoding/hex"

// quicAlone opens packets that are looked at alone.
type quicAlone struct {
	scratch []byte
}

// pdus appends the packets in a datagram. A client's first Initial packets are
// opened, with the keys of the identifier they carry.
func (q *quicAlone) pdus(dst []PDU, b []byte) []PDU {
	q.scratch = q.scratch[:0]
	var id []byte
	for first := true; len(b) > 0; first = false {
		n := len(id)
		h, ok := QUICHeaderAt(b, n)
		if !first && !h.Follows(id) {
			return dst
		}
		id = h.DCID
		u := PDU{App: AppQUIC, Len: int64(h.Size), Data: b[:h.Size], IDLen: n}
		if !ok {
			u.Kind = CutPDU
		}
		if ok && h.Type == QUICInitial {
			if client, _, err := NewQUICKeys(h.Version, h.DCID); err == nil {
				q.open(&u, &h, client)
			}
		}
		dst = append(dst, u)
		if !ok {
			return dst
		}
		b = b[h.Size:]
	}
	return dst
}

func (q *quicAlone) open(u *PDU, h *QUICHeader, k *QUICKeys) {
	before := len(q.scratch)
	var number uint64
	var numbered bool
	var clear []byte
	q.scratch, number, numbered, clear = k.Open(q.scratch, u.Data, h, -1)
	if clear == nil && uint64(len(u.Data)-h.Protected) >= h.Length { // other keys
		q.scratch = q.scratch[:before]
		return
	}
	u.Number, u.Numbered, u.Clear = number, numbered, clear
	for f := range QUICFrames(clear) {
		if f.Type == QUICCrypto && f.Offset == 0 {
			n, _, _ := WholeTLSMessages(f.Data)
			u.Handshake = f.Data[:n]
		}
	}
}

// appendQUIC appends the info column of a datagram whose last packet u is.
func (u *PDU) appendQUIC(dst []byte) []byte {
	h, _ := QUICHeaderAt(u.Data, u.IDLen)
	dst = append(dst, h.Type.String()...)
	if len(h.DCID) > 0 {
		dst = hex.AppendEncode(append(dst, ", DCID="...), h.DCID)
	}
	if len(h.SCID) > 0 {
		dst = hex.AppendEncode(append(dst, ", SCID="...), h.SCID)
	}
	if u.Numbered {
		dst = appendUint64(append(dst, ", PKN: "...), u.Number)
	}
	for f := range QUICFrames(u.Clear) {
		dst = append(append(dst, ", "...), quicFrameName(f.Type)...)
	}
	return dst
}
