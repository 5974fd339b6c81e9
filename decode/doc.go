// Package decode turns the payload of a record into a message, and holds the
// words that everything else talks in: [Event], [Direction], [Message],
// [Problem].
//
// A message keeps what could be decoded and lists what is wrong, with the
// bytes where it is wrong and what each genuine end would do about it. The
// loop that everybody writes:
//
//	var m decode.Message
//	var conns decode.Connections
//	for ev := range events {
//		if err := m.Decode(ev); err != nil {
//			// no property list: m.Problems says why and what follows
//		}
//		conns.Check(&m)
//		for i := range m.PacketCount() {
//			pkt, family := m.Packet(i)
//			use(pkt, family)
//		}
//	}
//
// Decoding allocates only to describe problems. Text that comes out of a
// message is as it came in: escape it before it reaches a terminal.
//
// Source: Apple's SimpleTunnel sample, SimpleTunnelServices/Tunnel.swift
// (keys, commands, handlePacket) and the two ends that use it.
package decode
