package session

import (
	"reflect"
	"slices"
	"testing"
	"unsafe"

	"tundump/decode/flow"
	"tundump/decode/packet"
)

func TestRowSize(t *testing.T) {
	if n := unsafe.Sizeof(row{}); n != 24 {
		t.Errorf("a row has %d bytes, want 24", n)
	}
}

// What is packed comes back, but for the times and what is the flow's.
func TestRowPacks(t *testing.T) {
	for _, want := range []flow.Analysis{
		{},
		{Flags: flow.Retransmission | flow.ZeroWindowProbeAck, Side: 1, Completeness: 63, InFlight: 1<<32 - 1},
		{Flags: flow.DuplicateAck, DupAck: 7, DupAckOf: 3, AckOf: 90},
		{Flags: flow.DuplicateAck, DupAck: 1<<32 - 1, DupAckOf: 3, AckOf: 3},
		{AnswerTo: 5, AckOf: 5},
		{AnswerTo: 5, AckOf: 6, Side: 1},
		{AckOf: 1, InFlight: 12},
		{Quoted: true, Side: 1},
	} {
		r := row{flow: noFlow}
		own := r.pack(100, &want)
		var got flow.Analysis
		r.unpack(100, own, &got)
		if !reflect.DeepEqual(got, want) || r.flowID() != noFlow {
			t.Errorf("%+v became %+v", want, got)
		}
	}
}

// A flow is found by what a row has of its number, until it is given up; then
// the row is not taken for another flow's.
func TestFlowsGiveUp(t *testing.T) {
	fs := newFlows()
	const more = 3 * flowBlockLen
	var st flowState
	for i := int64(0); i < maxKept+more; i++ {
		st = flowState{version: 4, transport: packet.UDP, stream: i, first: i + 1, last: i + 1}
		fs.streams[1][i] = fs.create(&st)
	}
	for _, i := range []int64{0, flowBlockLen, more - 1, more, maxKept, maxKept + more - 1} {
		w := row{flow: uint32(i) & noFlow}
		_, ok := fs.get(i+1, &w, &st)
		if want := i >= more; ok != want || ok && st.stream != i {
			t.Errorf("flow %d: %v %+v", i, ok, st)
		}
	}
	if fs.forgotten() != more || int64(len(fs.streams[1])) != maxKept {
		t.Errorf("%d forgotten, %d streams known", fs.forgotten(), len(fs.streams[1]))
	}
}

// However often a hostile connection changes what its numbers are counted
// from, each packet keeps its own, within bounds.
func TestEpochs(t *testing.T) {
	fs := newFlows()
	st := flowState{version: 4, transport: packet.TCP, first: 1}
	id := fs.create(&st)
	_, at := fs.at(id)
	base := func(n int64) packet.Base { return packet.Base{Seq: uint32(n / 3), Ack: 9} }
	const last = 1000
	for n := int64(1); n <= last; n++ {
		a := flow.Analysis{Proto: packet.TCP, Side: uint8(n % 2), Base: base(n)}
		fs.based(id, at, n, &a)
	}
	for n := int64(1); n <= last; n++ {
		if got := fs.baseOf(id, n, uint8(n%2), at); got != base(n) {
			t.Fatalf("packet %d counts from %+v, want %+v", n, got, base(n))
		}
	}
}

func TestFlowRate(t *testing.T) {
	var st flowState
	for _, p := range []struct{ second, bytes int64 }{{100, 5}, {101, 7}, {101, 1}, {104, 2}, {103, 9}, {104, 3}} {
		st.measure(p.second*1e9+17, int(p.bytes))
	}
	if got, want := st.rates(105e9), []int64{0, 0, 5, 8, 0, 9, 5, 0}; !slices.Equal(got, want) {
		t.Errorf("%d, want %d", got, want)
	}
	if got := st.rates(112e9); got != nil {
		t.Errorf("later: %d", got)
	}
	st.measure(50e9, 4)
	if got, want := st.rates(50e9), []int64{0, 0, 0, 0, 0, 0, 0, 4}; !slices.Equal(got, want) {
		t.Errorf("back: %d, want %d", got, want)
	}
	st.measure(-1e18, 4)
	st.measure(1<<62, 4)
}
