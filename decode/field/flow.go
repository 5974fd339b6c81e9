package field

import (
	"tundump/decode/flow"
	"tundump/decode/packet"
)

// ofFlow makes a field out of what a packet's flow says of it, dialogs aside;
// get returns the zero Value where it does not apply.
func ofFlow(name string, t Type, doc string, get func(*flow.Analysis, *packet.Facts) Value) Field {
	return Field{Name: name, Type: t, Doc: doc, Cost: FromPacket, NeedsFlow: true, Depth: flow.Streams, get: func(dst []Value, r *Row) []Value {
		if r.Flow == nil {
			return dst
		}
		if v := get(r.Flow, r.innermost()); v.Type != 0 {
			return append(dst, v)
		}
		return dst
	}}
}

// ofDialog is ofFlow for what is not known without the flow's dialog.
func ofDialog(name string, t Type, doc string, get func(*flow.Analysis, *packet.Facts) Value) Field {
	f := ofFlow(name, t, doc, get)
	f.Depth = flow.Dialogs
	return f
}

var hasFlags = &condition{func(r *Row) bool { return r.Flow != nil && r.Flow.Flags != 0 }}

// flowFields are the fields that need a flow's history. Flags are there only
// where they are set, as in tshark.
func flowFields() []Field {
	type get = func(*flow.Analysis, *packet.Facts) Value
	tcp := func(get get) get {
		return func(a *flow.Analysis, f *packet.Facts) Value {
			if a.Proto != packet.TCP || a.Quoted {
				return Value{}
			}
			return get(a, f)
		}
	}
	number := func(get func(*flow.Analysis) int64) get {
		return tcp(func(a *flow.Analysis, _ *packet.Facts) Value {
			if n := get(a); n != 0 {
				return uintValue(uint64(n))
			}
			return Value{}
		})
	}
	elapsed := func(get func(*flow.Analysis) int64) get {
		return tcp(func(a *flow.Analysis, _ *packet.Facts) Value {
			if ns := get(a); ns != 0 {
				return timeValue(ns)
			}
			return Value{}
		})
	}
	stream := func(proto packet.Transport) get {
		return func(a *flow.Analysis, _ *packet.Facts) Value {
			if a.Proto != proto {
				return Value{}
			}
			return uintValue(uint64(a.Stream))
		}
	}
	list := []Field{
		ofFlow("tcp.analysis.flags", Bool, "the analysis found something that is not the usual course", tcp(func(a *flow.Analysis, _ *packet.Facts) Value {
			if a.Flags == 0 {
				return Value{}
			}
			return boolValue(true)
		})),
		ofFlow("tcp.stream", Uint, "number of the TCP flow in the capture, from 0", stream(packet.TCP)),
		ofFlow("tcp.seq", Uint, "sequence number, counted from the flow's first", tcp(func(a *flow.Analysis, f *packet.Facts) Value {
			return uintValue(uint64(f.Seq - a.Base.Seq))
		})),
		ofFlow("tcp.ack", Uint, "acknowledgment number, counted from the flow's first", tcp(func(a *flow.Analysis, f *packet.Facts) Value {
			if f.Flags&packet.ACK == 0 {
				return uintValue(0)
			}
			return uintValue(uint64(f.Ack - a.Base.Ack))
		})),
		ofFlow("tcp.window_size", Uint, "window in bytes: scaled, if the scale is known", tcp(func(a *flow.Analysis, f *packet.Facts) Value {
			if f.Flags&packet.SYN != 0 {
				return uintValue(uint64(f.Window))
			}
			return uintValue(uint64(f.Window) << a.Base.WScale)
		})),
		ofFlow("tcp.completeness", Uint, "what was seen of the connection so far: 1 SYN, 2 SYN-ACK, 4 ACK, 8 data, 16 FIN, 32 reset", tcp(func(a *flow.Analysis, _ *packet.Facts) Value {
			return uintValue(uint64(a.Completeness))
		})),
	}
	for _, f := range [...]struct {
		name string
		flag flow.Flags
		doc  string
	}{
		{"retransmission", flow.Retransmission | flow.FastRetransmission | flow.Spurious, "it sends again what was sent"},
		{"fast_retransmission", flow.FastRetransmission, "a retransmission soon after duplicate acknowledgments"},
		{"spurious_retransmission", flow.Spurious, "a retransmission of what was acknowledged"},
		{"out_of_order", flow.OutOfOrder, "it belongs before an earlier packet"},
		{"reused_ports", flow.ReusedPorts, "a SYN between the ports of an earlier connection"},
		{"lost_segment", flow.LostSegment, "a segment before it was not captured"},
		{"ack_lost_segment", flow.AckedUnseen, "it acknowledges what was not captured"},
		{"window_update", flow.WindowUpdate, "it changes nothing but the window"},
		{"window_full", flow.WindowFull, "it fills the receiver's window"},
		{"keep_alive", flow.KeepAlive, "a keep-alive"},
		{"keep_alive_ack", flow.KeepAliveAck, "the answer to a keep-alive"},
		{"duplicate_ack", flow.DuplicateAck, "it repeats an acknowledgment"},
		{"zero_window_probe", flow.ZeroWindowProbe, "one byte into a closed window"},
		{"zero_window", flow.ZeroWindow, "the window is closed"},
		{"zero_window_probe_ack", flow.ZeroWindowProbeAck, "the answer to a zero window probe"},
	} {
		of := ofFlow("tcp.analysis."+f.name, Bool, f.doc, tcp(func(a *flow.Analysis, _ *packet.Facts) Value {
			if a.Flags&f.flag == 0 {
				return Value{}
			}
			return boolValue(true)
		}))
		of.when = hasFlags
		list = append(list, of)
	}
	return append(list,
		ofFlow("tcp.analysis.duplicate_ack_num", Uint, "which repetition of the acknowledgment it is", number(func(a *flow.Analysis) int64 { return int64(a.DupAck) })),
		ofFlow("tcp.analysis.duplicate_ack_frame", Uint, "number of the packet whose acknowledgment it repeats", number(func(a *flow.Analysis) int64 { return a.DupAckOf })),
		ofFlow("tcp.analysis.acks_frame", Uint, "number of the packet that it acknowledges", number(func(a *flow.Analysis) int64 { return a.AckOf })),
		ofFlow("tcp.analysis.ack_rtt", Time, "seconds from the packet that it acknowledges", elapsed(func(a *flow.Analysis) int64 { return a.AckRTT })),
		ofFlow("tcp.analysis.initial_rtt", Time, "seconds from the SYN to the end of the handshake", elapsed(func(a *flow.Analysis) int64 { return a.InitialRTT })),
		ofFlow("tcp.analysis.bytes_in_flight", Uint, "bytes sent and not acknowledged", number(func(a *flow.Analysis) int64 { return int64(a.InFlight) })),
		ofFlow("udp.stream", Uint, "number of the UDP flow in the capture, from 0", stream(packet.UDP)),
		ofDialog("dns.response_to", Uint, "number of the packet with the query", answer(func(a *flow.Analysis) Value { return uintValue(uint64(a.AnswerTo)) })),
		ofDialog("dns.time", Time, "seconds from the query to the answer", answer(func(a *flow.Analysis) Value { return timeValue(a.Latency) })),
	)
}

// answer makes a value of what is known of a DNS answer.
func answer(get func(*flow.Analysis) Value) func(*flow.Analysis, *packet.Facts) Value {
	return func(a *flow.Analysis, f *packet.Facts) Value {
		if a.AnswerTo == 0 || f.App != packet.AppDNS && f.App != packet.AppMDNS && f.App != packet.AppLLMNR && f.App != packet.AppNBNS {
			return Value{}
		}
		return get(a)
	}
}
