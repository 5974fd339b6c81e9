// Package pcapng reads and writes capture files: pcapng block by block, and
// classic pcap as if it were pcapng with one interface.
//
// A pcapng file is a row of blocks, each with its length at both ends:
//
//	 0       4       8                          Length
//	+-------+-------+--------------------------+-------+
//	| Type  |Length | Body, then options       |Length |
//	+-------+-------+--------------------------+-------+
//
// A section header block says which byte order the blocks behind it have,
// interface description blocks number the interfaces from 0, and packet blocks
// refer to them.
//
// Reading, block after block:
//
//	r := pcapng.NewReader(f)
//	var b pcapng.Block
//	var p pcapng.Packet
//	for {
//		err := r.Next(&b)
//		if err == io.EOF {
//			return nil
//		}
//		if err != nil {
//			return err // a *DamageError says where, and whether the file was only cut
//		}
//		if b.IsPacket() && b.Packet(&p) == nil {
//			use(b.Offset, &p)
//		}
//	}
//
// Reading again what is at an offset, in any order and from any goroutine:
//
//	err := section.ReadAt(f, offset, buf, &p)
//
// Writing appends to a slice and never allocates unless that has to grow:
//
//	dst = pcapng.AppendSection(dst, "tundump")
//	dst = pcapng.AppendInterface(dst, &pcapng.Interface{LinkType: 1, Name: "client side"})
//	dst = pcapng.AppendPacket(dst, &p, header, record)
//
// The file also holds the grammar of the comments that tundump writes: see
// [Tag].
//
// Source: draft-ietf-opsawg-pcapng and draft-ietf-opsawg-pcap.
package pcapng
