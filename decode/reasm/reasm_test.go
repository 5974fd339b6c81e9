package reasm

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
)

// drain takes all pieces and writes them as text: bytes as they are, gaps as
// [n], the end as a full stop.
func drain(s *Stream) string {
	var out []byte
	for p, ok := s.Next(); ok; p, ok = s.Next() {
		switch p.Kind {
		case Data:
			out = append(out, p.Data...)
		case Gap:
			out = fmt.Appendf(out, "[%d]", p.Len)
		case Fin:
			out = append(out, '.')
		}
	}
	return string(out)
}

// step is one thing that happens to a stream, and what comes of it.
type step struct {
	do      func(s *Stream) Verdict
	want    string
	verdict Verdict
}

func add(seq uint32, text string) func(*Stream) Verdict {
	return func(s *Stream) Verdict { return s.Add(&Segment{Seq: seq, Data: []byte(text), PSH: true}) }
}

func probe(seq uint32) func(*Stream) Verdict {
	return func(s *Stream) Verdict { return s.Add(&Segment{Seq: seq, Data: []byte{0}}) }
}

func syn(seq uint32) func(*Stream) Verdict {
	return func(s *Stream) Verdict { return s.Add(&Segment{Seq: seq, SYN: true}) }
}

func fin(seq uint32, text string) func(*Stream) Verdict {
	return func(s *Stream) Verdict { return s.Add(&Segment{Seq: seq, Data: []byte(text), FIN: true}) }
}

func cut(seq uint32, text string, n int) func(*Stream) Verdict {
	return func(s *Stream) Verdict { return s.Add(&Segment{Seq: seq, Data: []byte(text), Len: n}) }
}

func ack(seq uint32) func(*Stream) Verdict {
	return func(s *Stream) Verdict { s.Acked(seq); return 0 }
}

func ackHeld(seq uint32) func(*Stream) Verdict {
	return func(s *Stream) Verdict { s.AckedHeld(seq); return 0 }
}

func flush(s *Stream) Verdict { s.Flush(); return 0 }

func TestStream(t *testing.T) {
	for _, tt := range []struct {
		name  string
		steps []step
	}{
		{"in order", []step{{syn(99), "", 0}, {add(100, "abc"), "abc", 0}, {add(103, "de"), "de", 0}, {fin(105, "f"), "f.", 0}}},
		{"SYN again", []step{{syn(99), "", 0}, {syn(99), "", 0}, {add(100, "abc"), "abc", 0}, {syn(99), "", 0}}},
		{"another SYN", []step{{syn(99), "", 0}, {add(100, "abc"), "abc", 0}, {syn(5000), "", OtherStream}}},
		{"retransmission", []step{{syn(99), "", 0}, {add(100, "abc"), "abc", 0}, {add(100, "abc"), "", Repeated}, {add(101, "bcd"), "d", Repeated}}},
		{"conflict with what was handed out", []step{{syn(99), "", 0}, {add(100, "abc"), "abc", 0}, {add(101, "xcd"), "d", Repeated | Conflict}}},
		{"conflict with what is held", []step{{syn(99), "", 0}, {add(102, "cd"), "", OutOfOrder}, {add(100, "abxd"), "abcd", Repeated | Conflict}}},
		{"reordering", []step{{syn(99), "", 0}, {add(104, "ef"), "", OutOfOrder}, {add(102, "cd"), "", OutOfOrder}, {add(100, "ab"), "abcdef", 0}}},
		{"a segment over two held", []step{
			{syn(99), "", 0}, {add(102, "c"), "", OutOfOrder}, {add(104, "e"), "", OutOfOrder}, {add(100, "abcdefg"), "abcdefg", Repeated},
		}},
		{"wrap", []step{{syn(0xfffffffd), "", 0}, {add(0, "cd"), "", OutOfOrder}, {add(0xfffffffe, "ab"), "abcd", 0}, {add(2, "e"), "e", 0}}},
		{"acknowledged hole", []step{
			{syn(99), "", 0}, {add(102, "cd"), "", OutOfOrder}, {ack(101), "", 0}, {ack(102), "[2]cd", 0}, {add(104, "e"), "e", 0},
		}},
		{"acknowledged first", []step{{syn(99), "", 0}, {ack(110), "", 0}, {add(105, "f"), "[5]f", OutOfOrder}}},
		{"acknowledged before it is captured", []step{
			{syn(99), "", 0}, {ackHeld(110), "", 0}, {add(102, "c"), "", OutOfOrder}, {ackHeld(106), "[2]c", 0},
			{add(105, "f"), "", OutOfOrder}, {add(103, "de"), "def", 0},
		}},
		{"an acknowledgement of nothing", []step{{syn(99), "", 0}, {ack(100 + believable + 1), "", 0}, {add(105, "f"), "", OutOfOrder}}},
		{"hole at the end", []step{{syn(99), "", 0}, {fin(105, "f"), "", OutOfOrder}, {flush, "[5]f.", 0}}},
		{"FIN, and then what was missing", []step{{syn(99), "", 0}, {fin(102, "c"), "", OutOfOrder}, {add(100, "ab"), "abc.", 0}}},
		{"FIN of lost bytes", []step{{syn(99), "", 0}, {fin(102, ""), "", 0}, {ack(103), "[2].", 0}}},
		{"bytes behind FIN", []step{{syn(99), "", 0}, {fin(100, "ab"), "ab.", 0}, {add(102, "c"), "", BeyondFin}}},
		{"far ahead", []step{{syn(99), "", 0}, {add(100+1<<31, "x"), "", Unbelieved}, {add(100+1<<31-1, "x"), "", Unbelieved}, {add(100, "a"), "a", 0}}},
		{"captured in part", []step{{syn(99), "", 0}, {cut(100, "ab", 5), "ab", 0}, {add(105, "f"), "", OutOfOrder}, {ack(106), "[3]f", 0}}},
		{"keep-alive", []step{{syn(99), "", 0}, {add(100, "ab"), "ab", 0}, {ack(102), "", 0}, {probe(101), "", KeepAlive}, {add(102, "c"), "c", 0}}},
		{"keep-alive in a hole", []step{{syn(99), "", 0}, {ack(105), "", 0}, {probe(104), "", KeepAlive}, {add(105, "f"), "[5]f", OutOfOrder}}},
		{"one byte late", []step{{syn(99), "", 0}, {probe(101), "", OutOfOrder}, {probe(100), "\x00\x00", 0}}},
		{"joined", []step{{add(500, "cd"), "", 0}, {ack(502), "cd", 0}, {add(502, "e"), "e", 0}}},
		{"joined out of order", []step{{add(502, "cd"), "", 0}, {add(500, "ab"), "", 0}, {ack(500), "", 0}, {ack(504), "abcd", 0}}},
		{"joined at a probe", []step{{probe(499), "", 0}, {add(500, "ab"), "", 0}, {ack(502), "ab", 0}}},
		{"joined, then nothing", []step{{add(500, "ab"), "", 0}, {add(505, "c"), "", 0}, {flush, "ab[3]c", 0}}},
		{"joined at FIN", []step{{fin(500, ""), ".", 0}}},
		{"SYN late", []step{{add(102, "cd"), "", 0}, {syn(99), "", 0}, {add(100, "ab"), "abcd", 0}}},
		{"jump", []step{
			{syn(99), "", 0}, {add(100, "a"), "a", 0}, {add(103, "d"), "", OutOfOrder},
			{func(s *Stream) Verdict { s.Jump(50); return 0 }, "[2]d[4294967242]", 0}, {add(50, "x"), "x", 0},
		}},
	} {
		s := Stream{Memory: &Memory{History: 16}}
		for i, st := range tt.steps {
			v := st.do(&s)
			if got := drain(&s); got != st.want || v != st.verdict {
				t.Errorf("%s, step %d: %q, verdict %b; want %q, %b", tt.name, i, got, v, st.want, st.verdict)
			}
		}
		s.Close()
		if s.Memory.Used() != 0 {
			t.Errorf("%s: %d bytes are still charged", tt.name, s.Memory.Used())
		}
	}
}

// A full stream gives up its first gap, and memory stays bounded, whoever
// else holds some.
func TestMemory(t *testing.T) {
	for _, m := range []*Memory{{Stream: 10_000}, {Total: 10_000}} {
		streams := make([]Stream, 10)
		block := make([]byte, 100)
		gaps := 0
		for i := range 1000 {
			for k := range streams {
				s := &streams[k]
				s.Memory = m
				s.Begins(1)
				s.Add(&Segment{Seq: 1 + uint32(i+1)*200, Data: block})
				for p, ok := s.Next(); ok; p, ok = s.Next() {
					if p.Kind == Gap {
						gaps++
					}
				}
				if s.cost > 11_000 || m.Total > 0 && m.Used() > 11_000 {
					t.Fatalf("%+v: one stream holds %d, all %d", *m, s.cost, m.Used())
				}
			}
		}
		if gaps < 9000 {
			t.Errorf("%+v: %d gaps were given up", *m, gaps)
		}
	}
}

func TestHoles(t *testing.T) {
	var s Stream
	s.Begins(0)
	for i := range 10_000 {
		s.Add(&Segment{Seq: 2 + uint32(i)*2, Data: []byte{1}, PSH: true})
		drain(&s)
	}
	if len(s.held) > maxHoles {
		t.Errorf("%d runs of bytes are held, more than %d", len(s.held), maxHoles)
	}
}

// model is the slow and obvious version: a byte for each offset, the first
// copy of which counts.
type model struct {
	bytes map[int64]byte
	next  int64
}

func (m *model) add(off int64, b []byte) {
	for i, c := range b {
		if _, ok := m.bytes[off+int64(i)]; !ok && off+int64(i) >= m.next {
			m.bytes[off+int64(i)] = c
		}
	}
}

func (m *model) drain() []byte {
	var out []byte
	for {
		c, ok := m.bytes[m.next]
		if !ok {
			return out
		}
		out = append(out, c)
		m.next++
	}
}

// Random segments, with overlap, conflict, loss and any order, give what the
// model gives, after each of them.
func TestAgainstModel(t *testing.T) {
	for seed := range uint64(500) {
		r := rand.New(rand.NewPCG(seed, 1))
		isn := r.Uint32()
		if seed%2 == 0 {
			isn = -uint32(r.IntN(300)) // wraps
		}
		s := Stream{Memory: &Memory{History: 64}}
		s.Begins(isn)
		m := model{bytes: map[int64]byte{}}
		for step := range 200 {
			off := max(0, m.next+int64(r.IntN(120))-60)
			b := make([]byte, r.IntN(40))
			for i := range b {
				b[i] = byte(off + int64(i))
				if r.IntN(20) == 0 {
					b[i] ^= 0x55
				}
			}
			m.add(off, b)
			s.Add(&Segment{Seq: isn + uint32(off), Data: b, PSH: true})
			clear := bytes.Clone(b)
			got := drain(&s)
			if want := string(m.drain()); got != want {
				t.Fatalf("seed %d, step %d: %q, the model has %q", seed, step, got, want)
			}
			copy(b, clear)
			for i := range b {
				b[i] = 0xee // the caller's buffer is used again
			}
		}
	}
}

func FuzzStream(f *testing.F) {
	f.Add([]byte{0, 0, 3, 1, 5, 3, 2, 3, 2}, false)
	f.Add([]byte{8, 250, 9, 8, 1, 9, 16, 20, 0, 0, 3, 3}, true)
	f.Fuzz(func(t *testing.T, script []byte, joined bool) {
		m := &Memory{Stream: 2000, Total: 3000, History: 32}
		s := Stream{Memory: m}
		const base = 1 << 31
		if !joined {
			s.Begins(base)
		}
		var at int64
		var ended bool
		first := map[int64]byte{} // what was handed out
		take := func() {
			for p, ok := s.Next(); ok; p, ok = s.Next() {
				switch {
				case ended:
					t.Fatal("something follows the end")
				case p.Offset != at:
					t.Fatalf("a piece at %d follows one that ends at %d", p.Offset, at)
				case p.Kind == Fin:
					ended = true
				case p.Len <= 0 || p.Kind == Data && p.Len != int64(len(p.Data)):
					t.Fatalf("a piece of %d bytes has %d", p.Len, len(p.Data))
				}
				for i, c := range p.Data {
					first[p.Offset+int64(i)] = c
				}
				at += p.Len
			}
			if at != s.Offset() {
				t.Fatalf("Offset is %d at %d", s.Offset(), at)
			}
		}
		payload := bytes.Repeat([]byte("0123456789abcdef"), 16)
		for len(script) >= 3 {
			op, pos, n := script[0], int8(script[1]), script[2]
			script = script[3:]
			seq := base + uint32(at) + uint32(int32(pos))*uint32(1+op>>4)
			switch op & 7 {
			case 6:
				s.Acked(seq)
			case 7:
				switch {
				case n == 1:
					s.Flush()
				case n == 2 && s.Started():
					s.Jump(seq)
					take()
				}
			default:
				s.Add(&Segment{Seq: seq, Data: payload[:n], Len: int(n) * int(op&1), FIN: op&7 == 5, SYN: op&7 == 4, PSH: op&8 != 0})
			}
			take()
			if s.cost > 2000+1000 || m.Used() > 3000+1000 {
				t.Fatalf("%d bytes are held", m.Used())
			}
		}
		s.Flush()
		take()
		s.Close()
		if m.Used() != 0 {
			t.Fatalf("%d bytes are charged for nothing", m.Used())
		}
	})
}

func BenchmarkInOrder(b *testing.B) {
	for _, history := range []int{0, 64 << 10} {
		b.Run(fmt.Sprintf("history=%d", history), func(b *testing.B) {
			s := Stream{Memory: &Memory{History: history}}
			s.Begins(0)
			seg := Segment{Data: make([]byte, 1448)}
			b.SetBytes(1448)
			b.ReportAllocs()
			for b.Loop() {
				s.Add(&seg)
				s.Acked(seg.Seq)
				for p, ok := s.Next(); ok; p, ok = s.Next() {
					seg.Seq += uint32(p.Len)
				}
			}
		})
	}
}

func BenchmarkReordered(b *testing.B) {
	s := Stream{}
	s.Begins(0)
	seg := Segment{Data: make([]byte, 1448)}
	b.SetBytes(2 * 1448)
	b.ReportAllocs()
	for b.Loop() {
		seg.Seq += 1448
		s.Add(&seg)
		seg.Seq -= 1448
		s.Add(&seg)
		for p, ok := s.Next(); ok; p, ok = s.Next() {
			seg.Seq += uint32(p.Len)
		}
	}
}
