// Package stream finds tunnels in captured packets: packets of any link type
// go in, the events of the tunnels' connections come out, as the proxy would
// have told them.
//
//	f := stream.New(stream.Options{}, func(ev *decode.Event) {
//		use(ev) // ev and what it points to are valid during the call
//	})
//	for p := range packets {
//		f.Packet(&p)
//	}
//	f.End()
//	if f.Stats().Tunnels == 0 {
//		… // f.Stats() says what else there is
//	}
//
// # What is a tunnel
//
// A TCP connection on any port is a tunnel when one of its directions shows a
// record whose property list's trailer fits its length (see frame.Fits). Until
// then its bytes are held: up to 32 KiB of a direction that was seen from its
// beginning and does not begin like a record, up to 256 KiB of any other. A
// connection in which neither direction can be one's any more is dropped, and
// only its addresses are remembered. With Options.Ports every connection on
// those ports is a tunnel, and no other.
//
// The client is the one that sends open or asks for the configuration; where
// the first record does not tell, the sender of SYN; where that was not
// captured, the end with the higher port.
//
// # What comes out
//
// Opened, with Since set for a tunnel that was met in its middle, Record,
// Unframed and Gap in each direction, HalfClosed, Reset and Closed. A tunnel
// that is open where the capture ends has no Closed. An event's time is that of
// the packet that made it complete. The events of one tunnel are in the order
// of their times; those of different tunnels are, too, but for what a
// connection did before it could be known for a tunnel.
//
// After a gap the bytes of a record that began before it are Unframed up to
// where its length says it ends; if that is inside the gap, the next record is
// looked for. Nothing is taken for a record that is not there from its first
// byte to its last.
//
// A gap is given up when the receiver has acknowledged it and later bytes have
// come. A copy of the lost bytes that passes after that is not used: waiting for
// it would hold back every capture that lost something.
//
// # Packets without a tunnel
//
// With Options.Bare every IP packet is an event of its own, and no tunnel is
// looked for. Whether a capture of link type RAW is one of a tunnel's outside
// or of its inside cannot be told from a packet; the caller tries the first
// and, when there was no tunnel, goes through the packets again.
//
// The package does no I/O, reads no clock and starts no goroutine. Memory and
// work are bounded whatever comes.
package stream
