package field

import (
	"tundump/decode/flow"
	"tundump/decode/packet"
)

// ofFlow makes a field out of what a packet's flow says of it where it has what
// when says, dialogs aside; get returns the zero Value where it does not apply.
func ofFlow(when *condition, name string, t Type, doc string, get func(*flow.Analysis, *packet.Facts) Value) Field {
	return Field{Name: name, Type: t, Doc: doc, Cost: FromPacket, NeedsFlow: true, Depth: flow.Streams, when: when, get: func(dst []Value, r *Row) []Value {
		if !when.row(r) {
			return dst
		}
		if v := get(r.Flow, r.innermost()); v.Type != 0 {
			return append(dst, v)
		}
		return dst
	}}
}

// ofDialog is ofFlow for what is not known without the flow's dialog.
func ofDialog(when *condition, name string, t Type, doc string, get func(*flow.Analysis, *packet.Facts) Value) Field {
	f := ofFlow(when, name, t, doc, get)
	f.Depth = flow.Dialogs
	return f
}

// flowHas is what a packet's flow says of it.
func flowHas(holds func(*flow.Analysis) bool) *condition {
	return rowHas(func(r *Row) bool { return r.Flow != nil && holds(r.Flow) })
}

// flowFields are the fields that need a flow's history. Flags are there only
// where they are set, as in tshark.
func flowFields() []Field {
	tcp := flowHas(func(a *flow.Analysis) bool { return a.Proto == packet.TCP && !a.Quoted })
	flagged := rowHas(func(r *Row) bool { return tcp.row(r) && r.Flow.Flags != 0 })
	stream := func(name string, proto packet.Transport, doc string) Field {
		return ofFlow(flowHas(func(a *flow.Analysis) bool { return a.Proto == proto }), name, Uint, doc, func(a *flow.Analysis, _ *packet.Facts) Value {
			return uintValue(uint64(a.Stream))
		})
	}
	number := func(name, doc string, get func(*flow.Analysis) int64) Field {
		return ofFlow(tcp, name, Uint, doc, func(a *flow.Analysis, _ *packet.Facts) Value {
			if n := get(a); n != 0 {
				return uintValue(uint64(n))
			}
			return Value{}
		})
	}
	elapsed := func(name, doc string, get func(*flow.Analysis) int64) Field {
		return ofFlow(tcp, name, Time, doc, func(a *flow.Analysis, _ *packet.Facts) Value {
			if ns := get(a); ns != 0 {
				return timeValue(ns)
			}
			return Value{}
		})
	}
	list := []Field{
		ofFlow(flagged, "tcp.analysis.flags", Bool, "the analysis found something that is not the usual course", func(*flow.Analysis, *packet.Facts) Value { return boolValue(true) }),
		stream("tcp.stream", packet.TCP, "number of the TCP flow in the capture, from 0"),
		ofFlow(tcp, "tcp.seq", Uint, "sequence number, counted from the flow's first", func(a *flow.Analysis, f *packet.Facts) Value {
			return uintValue(uint64(f.Seq - a.Base.Seq))
		}),
		ofFlow(tcp, "tcp.ack", Uint, "acknowledgment number, counted from the flow's first", func(a *flow.Analysis, f *packet.Facts) Value {
			if f.Flags&packet.ACK == 0 {
				return uintValue(0)
			}
			return uintValue(uint64(f.Ack - a.Base.Ack))
		}),
		ofFlow(tcp, "tcp.window_size", Uint, "window in bytes: scaled, if the scale is known", func(a *flow.Analysis, f *packet.Facts) Value {
			if f.Flags&packet.SYN != 0 {
				return uintValue(uint64(f.Window))
			}
			return uintValue(uint64(f.Window) << a.Base.WScale)
		}),
		ofFlow(tcp, "tcp.completeness", Uint, "what was seen of the connection so far: 1 SYN, 2 SYN-ACK, 4 ACK, 8 data, 16 FIN, 32 reset", func(a *flow.Analysis, _ *packet.Facts) Value {
			return uintValue(uint64(a.Completeness))
		}),
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
		list = append(list, ofFlow(flagged, "tcp.analysis."+f.name, Bool, f.doc, func(a *flow.Analysis, _ *packet.Facts) Value {
			if a.Flags&f.flag == 0 {
				return Value{}
			}
			return boolValue(true)
		}))
	}
	answered := rowHas(func(r *Row) bool {
		if r.Flow == nil || r.Flow.AnswerTo == 0 {
			return false
		}
		switch r.innermost().App {
		case packet.AppDNS, packet.AppMDNS, packet.AppLLMNR, packet.AppNBNS:
			return true
		}
		return false
	})
	return append(list,
		number("tcp.analysis.duplicate_ack_num", "which repetition of the acknowledgment it is", func(a *flow.Analysis) int64 { return int64(a.DupAck) }),
		number("tcp.analysis.duplicate_ack_frame", "number of the packet whose acknowledgment it repeats", func(a *flow.Analysis) int64 { return a.DupAckOf }),
		number("tcp.analysis.acks_frame", "number of the packet that it acknowledges", func(a *flow.Analysis) int64 { return a.AckOf }),
		elapsed("tcp.analysis.ack_rtt", "seconds from the packet that it acknowledges", func(a *flow.Analysis) int64 { return a.AckRTT }),
		elapsed("tcp.analysis.initial_rtt", "seconds from the SYN to the end of the handshake", func(a *flow.Analysis) int64 { return a.InitialRTT }),
		number("tcp.analysis.bytes_in_flight", "bytes sent and not acknowledged", func(a *flow.Analysis) int64 { return int64(a.InFlight) }),
		stream("udp.stream", packet.UDP, "number of the UDP flow in the capture, from 0"),
		ofDialog(answered, "dns.response_to", Uint, "number of the packet with the query", func(a *flow.Analysis, _ *packet.Facts) Value { return uintValue(uint64(a.AnswerTo)) }),
		ofDialog(answered, "dns.time", Time, "seconds from the query to the answer", func(a *flow.Analysis, _ *packet.Facts) Value { return timeValue(a.Latency) }),
	)
}
