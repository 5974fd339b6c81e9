package flow_test

import (
	"math/rand/v2"
	"testing"

	"tundump/capture/judge"
	"tundump/decode/packet"
)

// peer is one end of a connection that misbehaves.
type peer struct {
	next, ack uint32 // what it sends next, and has received
	win       uint16
	sent      []seg
}

// misbehave returns a connection on which everything happens that the analysis
// has a word for.
func misbehave(r *rand.Rand, port uint16, at int64) []seg {
	var out []seg
	ends := [2]*peer{{next: r.Uint32(), win: 1000}, {next: r.Uint32(), win: 2000}}
	if r.IntN(2) == 0 {
		ends[0].next = -uint32(r.IntN(5000)) // wraps
	}
	emit := func(side int, flags uint16, seq uint32, n int, ws int) {
		p := ends[side]
		s := seg{at: at, back: side == 1, flags: flags, seq: seq, win: p.win, len: n, ws: ws, client: port}
		if flags&packet.ACK != 0 {
			s.ack = p.ack
		}
		if r.IntN(50) == 0 {
			return // lost before it was seen, and received
		}
		out = append(out, s)
		if n > 0 || flags&(packet.SYN|packet.FIN) != 0 {
			p.sent = append(p.sent, s)
		}
	}
	scales := [3]int{0, 2, 7}
	if r.IntN(6) > 0 {
		emit(0, packet.SYN, ends[0].next, 0, scales[r.IntN(3)])
		if r.IntN(10) == 0 {
			at += int64(r.IntN(3000))
			emit(0, packet.SYN, ends[0].next, 0, scales[r.IntN(3)])
		}
		ends[0].next++
		ends[1].ack = ends[0].next
		at += int64(r.IntN(3000))
		emit(1, packet.SYN|packet.ACK, ends[1].next, 0, scales[r.IntN(3)])
		ends[1].next++
		ends[0].ack = ends[1].next
		at += int64(r.IntN(3000))
		emit(0, packet.ACK, ends[0].next, 0, 0)
	} else {
		ends[0].ack, ends[1].ack = ends[1].next, ends[0].next
	}
	for range 5 + r.IntN(60) {
		side := r.IntN(2)
		p, q := ends[side], ends[1-side]
		switch r.IntN(10) {
		case 0:
			at += int64(r.IntN(400_000))
		case 1, 2, 3:
			at += int64(r.IntN(200))
		default:
			at += int64(r.IntN(20_000))
		}
		switch r.IntN(18) {
		case 0, 1, 2, 3, 4, 5: // data
			n := []int{1, 2, 100, 500, 1400}[r.IntN(5)]
			emit(side, packet.ACK|packet.PSH, p.next, n, 0)
			p.next += uint32(n)
		case 6, 7, 8: // acknowledge all
			p.ack = q.next
			emit(side, packet.ACK, p.next, 0, 0)
		case 9: // acknowledge some
			if len(q.sent) > 0 {
				s := q.sent[r.IntN(len(q.sent))]
				if end := s.seq + uint32(r.IntN(s.len+1)); int32(end-p.ack) > 0 {
					p.ack = end
				}
			}
			emit(side, packet.ACK, p.next, 0, 0)
		case 10: // again
			for range 1 + r.IntN(4) {
				at += int64(r.IntN(5000))
				emit(side, packet.ACK, p.next, 0, 0)
			}
		case 11, 12: // retransmit
			if len(p.sent) > 0 {
				s := p.sent[max(0, len(p.sent)-1-r.IntN(4))]
				emit(side, s.flags, s.seq, s.len, 0)
			}
		case 13: // a gap that is filled
			a, b := 200, 300
			first := p.next
			p.next += uint32(a)
			emit(side, packet.ACK, p.next, b, 0)
			p.next += uint32(b)
			at += int64(r.IntN(6000))
			if r.IntN(2) == 0 {
				for range r.IntN(5) {
					emit(1-side, packet.ACK, q.next, 0, 0)
				}
			}
			emit(side, packet.ACK, first, a, 0)
		case 14: // keep-alive
			emit(side, packet.ACK, p.next-1, r.IntN(2), 0)
			at += int64(r.IntN(2000))
			q.ack = p.next
			emit(1-side, packet.ACK, q.next, 0, 0)
		case 15: // window
			p.win = []uint16{0, 0, 100, 1000, 1400}[r.IntN(5)]
			emit(side, packet.ACK, p.next, 0, 0)
			if p.win == 0 && r.IntN(2) == 0 {
				emit(1-side, packet.ACK, q.next, 1, 0)
				if r.IntN(2) == 0 {
					q.next++
					p.ack = q.next
				}
				emit(side, packet.ACK, p.next, 0, 0)
			}
		case 16: // fill the window
			if n := p.ack + uint32(p.win) - q.next; n > 0 && n <= 4000 {

				emit(1-side, packet.ACK, q.next, int(n), 0)
				q.next += n
			}
		case 17:
			switch r.IntN(6) {
			case 0:
				emit(side, packet.FIN|packet.ACK, p.next, r.IntN(2)*10, 0)
				p.next++
			case 1:
				emit(side, packet.RST, p.next, 0, 0)
			case 2:
				emit(side, packet.RST|packet.ACK, p.next, 0, 0)
			case 3: // the ports are used again
				p.next = r.Uint32()
				emit(side, packet.SYN, p.next, 0, scales[r.IntN(3)])
				p.next++
				q.ack = p.next
				q.next = r.Uint32()
				emit(1-side, packet.SYN|packet.ACK, q.next, 0, scales[r.IntN(3)])
				q.next++
				p.ack = q.next
			}
		}
	}
	return out
}

// TestRandom has tshark judge connections that misbehave at random. Where they
// acknowledge what was never sent while windows are closed, tshark's rules for
// "ACKed unseen segment" and "Fast Retransmission" are not fully known.
func TestRandom(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var pkts []judge.Packet
	for i := range 300 {
		for _, s := range misbehave(r, uint16(20000+i), int64(i)*10_000_000) {
			pkts = append(pkts, s.packet())
		}
	}
	g := compare(t, pkts)
	g.check(t, 0.9)
}
