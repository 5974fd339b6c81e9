package flow

import (
	"tundump/decode/packet"
	"tundump/decode/reasm"
)

const (
	// maxTries bounds the keys that are made for a flow: each costs as much as
	// reading some fifty packets.
	maxTries = 16
	// maxCrypto bounds the TLS handshake in a flow's Initial packets.
	maxCrypto = 1 << 16
)

// quic is what is known of a QUIC connection.
type quic struct {
	keys     [2]*packet.QUICKeys // by sender, of Initial packets
	largest  [2]int64            // packet number, by sender
	idLen    [2]int              // of the identifiers in the short headers it sends; -1: not known
	crypto   [2]reasm.Stream
	messages [2][]byte // of the TLS handshake, what is not whole yet
	tries    int
}

// datagram reads the QUIC packets in a datagram.
func (t *Table) datagram(p *Packet, d *dialog, arena *Arena, side uint8) {
	q := d.quic
	if q == nil {
		q = &quic{largest: [2]int64{-1, -1}, idLen: [2]int{-1, -1}}
		for i := range q.crypto {
			q.crypto[i].Memory = &t.held
			q.crypto[i].Begins(0)
		}
		d.quic = q
	}
	first, other := len(arena.pdus), side^1
	var id []byte
	for b := p.Facts.Payload; len(b) > 0; {
		h, ok := packet.QUICHeaderAt(b, q.idLen[side])
		if len(arena.pdus) > first && !h.Follows(id) {
			return
		}
		id = h.DCID
		u := packet.PDU{App: packet.AppQUIC, Len: int64(h.Size), Data: b[:h.Size], IDLen: q.idLen[side]}
		if !ok {
			u.Kind = packet.CutPDU
		} else if h.Long() {
			q.idLen[other] = len(h.SCID)
		}
		if ok && h.Type == packet.QUICInitial {
			q.open(arena, side, &h, &u)
			t.crypto(p, q, arena, side, &u)
		}
		arena.pdus = append(arena.pdus, u)
		if !ok {
			return
		}
		b = b[h.Size:]
	}
}

// open decrypts an Initial packet: with the keys of the connection, or else
// with those of the identifier that it carries, which are a client's for its
// first packet and its first one after a Retry.
func (q *quic) open(arena *Arena, side uint8, h *packet.QUICHeader, u *packet.PDU) {
	if k := q.keys[side]; k != nil {
		arena.bytes, u.Number, u.Numbered, u.Clear = k.Open(arena.bytes, u.Data, h, q.largest[side])
	}
	if u.Clear == nil && q.tries < maxTries {
		q.tries++
		client, server, err := packet.NewQUICKeys(h.Version, h.DCID)
		if err != nil { // of a length that AES does not take: cannot be
			return
		}
		bytes, number, numbered, clear := client.Open(arena.bytes, u.Data, h, -1)
		if arena.bytes = bytes; clear != nil || q.keys[side] == nil && q.keys[side^1] == nil {
			q.keys[side], q.keys[side^1] = client, server
			u.Number, u.Numbered, u.Clear = number, numbered, clear
		}
	}
	if u.Clear != nil {
		q.largest[side] = max(q.largest[side], int64(u.Number))
	}
}

// crypto puts the packet's CRYPTO frames in their place.
func (t *Table) crypto(p *Packet, q *quic, arena *Arena, side uint8, u *packet.PDU) {
	s := &q.crypto[side]
	for f := range packet.QUICFrames(u.Clear) {
		if f.Type != packet.QUICCrypto || f.Offset+uint64(len(f.Data)) > maxCrypto {
			continue
		}
		s.Add(&reasm.Segment{Seq: uint32(f.Offset), PSH: true, Data: f.Data})
		for piece, ok := s.Next(); ok; piece, ok = s.Next() {
			t.keep(&q.messages[side], piece.Data)
		}
	}
	n, _, ok := packet.WholeTLSMessages(q.messages[side])
	if !ok || n == 0 {
		return
	}
	u.Handshake = arena.copy(q.messages[side][:n])
	q.messages[side] = append(q.messages[side][:0], q.messages[side][n:]...)
	for m := range packet.TLSMessages(u.Handshake) {
		t.learnSNI(p, m)
	}
}
