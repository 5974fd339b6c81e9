package packet

import "encoding/binary"

var dhcpv6Types = [...]string{
	1: "Solicit", "Advertise", "Request", "Confirm", "Renew", "Rebind", "Reply", "Release", "Decline",
	"Reconfigure", "Information-request", "Relay-forw", "Relay-reply", "Leasequery", "Leasequery-reply",
	"Leasequery-done", "Leasequery-data",
}

var dhcpv6Options = [...]string{
	1: "Client Identifier", "Server Identifier", "Identity Association for Non-temporary Address",
	"Identity Association for Temporary Address", "IA Address", "Option Request", "Preference", "Elapsed time",
	"Relay Message", 11: "Authentication", "Server unicast", "Status code", "Rapid Commit", "User Class", "Vendor Class",
	"Vendor-specific Information", "Interface-Id", "Reconfigure Message", "Reconfigure Accept",
	23: "DNS recursive name server", "Domain Search List", "Identity Association for Prefix Delegation", "IA Prefix",
	39: "Fully Qualified Domain Name",
}

func confirmsDHCPv6(b []byte) bool { return len(b) >= 4 && b[0] >= 1 && b[0] <= 36 }

// dhcpv6Head returns where the options begin: behind a transaction identifier,
// or behind the addresses of a relay. Source: RFC 8415, sections 8 and 9.
func dhcpv6Head(b []byte) int {
	if b[0] == 12 || b[0] == 13 {
		return 34
	}
	return 4
}

// dhcpv6Each calls yield for each option at off or behind it.
func dhcpv6Each(b []byte, off int, yield func(code, off, n int) bool) {
	for off+4 <= len(b) {
		code, n := uint16At(b, off), uint16At(b, off+2)
		if off+4+n > len(b) || !yield(code, off+4, n) {
			return
		}
		off += 4 + n
	}
}

func (f *Facts) appendDHCPv6(dst []byte) []byte {
	b := f.Payload
	dst = append(appendNamed(dst, dhcpv6Types[:], int(b[0])), ' ')
	if dhcpv6Head(b) == 4 {
		dst = appendHex(append(dst, "XID: 0x"...), uint64(binary.BigEndian.Uint32(b)&0xffffff), 6)
		dst = append(dst, ' ')
	}
	dhcpv6Each(b, dhcpv6Head(b), func(code, off, n int) bool {
		switch {
		case code == 1:
			dst = append(dst, "CID: "...)
			for _, c := range b[off : off+n] {
				dst = append(dst, hexDigits[c>>4], hexDigits[c&15])
			}
			dst = append(dst, ' ')
		case code == 3 && n >= 12:
			dhcpv6Each(b[:off+n], off+12, func(code, off, n int) bool {
				if code == 5 && n >= 16 {
					a := addr16(b[off:])
					dst = append(a.AppendTo(append(dst, "IAA: "...)), ' ')
				}
				return true
			})
		}
		return len(dst) < 1<<10
	})
	return dst
}

func (e *emitter) dhcpv6() {
	e.word("dhcpv6.msgtype", "Message type", 0, 1, 0, func(v int) string { return lookup(dhcpv6Types[:], v) })
	head := dhcpv6Head(e.b)
	if head == 4 {
		e.uint("dhcpv6.xid", "Transaction ID", 1, 3, 6)
	}
	e.dhcpv6Options(len(e.b), head)
}

func (e *emitter) dhcpv6Options(end, off int) {
	dhcpv6Each(e.b[:end], off, func(code, off, n int) bool {
		e.line("Option", off-4, n+4)
		e.depth++
		e.word("dhcpv6.option.type", "Type", off-4, 2, 0, func(v int) string { return lookup(dhcpv6Options[:], v) })
		e.uint("dhcpv6.option.length", "Length", off-2, 2, 0)
		switch {
		case code == 1 || code == 2:
			e.raw("dhcpv6.duid.bytes", "DUID", off, n, KindBytes)
			e.uint("dhcpv6.duid.type", "DUID Type", off, 2, 0)
		case (code == 3 || code == 25) && n >= 12:
			e.raw("dhcpv6.iaid", "IAID", off, 4, KindBytes)
			e.uint("dhcpv6.iaid.t1", "T1", off+4, 4, 0)
			e.uint("dhcpv6.iaid.t2", "T2", off+8, 4, 0)
			if e.depth < 3 {
				e.dhcpv6Options(off+n, off+12)
			}
		case code == 5 && n >= 24:
			e.addr("dhcpv6.iaaddr.ip", "IPv6 address", off, 16)
			e.uint("dhcpv6.iaaddr.pref_lifetime", "Preferred lifetime", off+16, 4, 0)
			e.uint("dhcpv6.iaaddr.valid_lifetime", "Valid lifetime", off+20, 4, 0)
		case code == 26 && n >= 25:
			e.uint("dhcpv6.iaprefix.pref_lifetime", "Preferred lifetime", off, 4, 0)
			e.uint("dhcpv6.iaprefix.valid_lifetime", "Valid lifetime", off+4, 4, 0)
			e.uint("dhcpv6.iaprefix.pref_len", "Prefix length", off+8, 1, 0)
			e.addr("dhcpv6.iaprefix.pref_addr", "Prefix address", off+9, 16)
		case code == 6:
			for i := 0; i+2 <= n; i += 2 {
				e.word("dhcpv6.requested_option_code", "Requested Option code", off+i, 2, 0, func(v int) string { return lookup(dhcpv6Options[:], v) })
			}
		case code == 8 && n == 2:
			v := uint64(uint16At(e.b, off)) * 10
			e.emit(Item{Name: "dhcpv6.elapsed_time", Label: "Elapsed time (ms)", Kind: KindUint, Num: v}, off, 2)
		case code == 23:
			for i := 0; i+16 <= n; i += 16 {
				e.addr("dhcpv6.dns_server", "DNS server address", off+i, 16)
			}
		}
		e.depth--
		return !e.done
	})
}
