// Package rewrite changes IP packets and puts lengths and checksums right:
// addresses and ports by maps, the time to live, the identification, the size
// by fragmenting, and addresses by a keyed permutation that keeps prefixes.
//
// A packet is the bytes of one IPv4 or IPv6 datagram, as in package packet.
// Nothing about it is trusted: what cannot be read is left as it is, and no
// function panics. No function allocates but to grow the caller's buffer.
//
//	r := rewrite.Rewriter{Addrs: addrs, Ports: ports}
//	for _, b := range packets {
//		out = r.Append(out[:0], b)
//	}
//
// # Checksums
//
// Checksums are changed by the difference (RFC 1624), not computed anew. So a
// right one stays right, a wrong one stays wrong by as much as it was, and
// the ones that nobody can compute follow too: of a fragment, and of a packet
// that an ICMP error quotes in part. Two kinds are computed in full: the
// partial sum that checksum offload leaves for the network card, which comes
// out finished, and all of them with [Rewriter.FixChecksums]. A UDP checksum
// over IPv4 that is not there stays away.
package rewrite
