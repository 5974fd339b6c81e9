package packet

import (
	"encoding/binary"
	"strconv"
)

// dhcpFixedLen is the length of a BOOTP message up to its options, the magic
// cookie included.
const dhcpFixedLen = 240

const dhcpCookie = 0x63825363

// confirmsDHCP tests for BOOTP. Source: RFC 2131, section 2.
func confirmsDHCP(b []byte) bool {
	return len(b) >= 44 && (b[0] == 1 || b[0] == 2)
}

// dhcpOptions calls yield for each option: its code, and where its data is in
// b. Source: RFC 2132, section 2.
func dhcpOptions(b []byte, yield func(code uint8, off, n int) bool) {
	if len(b) < dhcpFixedLen || binary.BigEndian.Uint32(b[236:]) != dhcpCookie {
		return
	}
	for off := dhcpFixedLen; off < len(b); {
		code := b[off]
		if code == 0 {
			off++
			continue
		}
		if code == 255 {
			yield(code, off+1, 0)
			return
		}
		if off+2 > len(b) || off+2+int(b[off+1]) > len(b) {
			return
		}
		n := int(b[off+1])
		if !yield(code, off+2, n) {
			return
		}
		off += 2 + n
	}
}

var dhcpTypes = [...]string{
	1: "Discover", "Offer", "Request", "Decline", "ACK", "NAK", "Release", "Inform",
	"Force Renew", "Lease query", "Lease Unassigned", "Lease Unknown", "Lease Active",
}

// dhcpType returns option 53, 0 if there is none.
func dhcpType(b []byte) (typ uint8) {
	dhcpOptions(b, func(code uint8, off, n int) bool {
		if code == 53 && n == 1 {
			typ = b[off]
		}
		return typ == 0
	})
	return typ
}

// appendDHCP pads the type's name to 8 columns, as tshark does.
func (f *Facts) appendDHCP(dst []byte) []byte {
	b := f.Payload
	if typ := dhcpType(b); typ != 0 {
		dst = append(dst, "DHCP "...)
		start := len(dst)
		dst = appendNamed(dst, dhcpTypes[:], int(typ))
		for len(dst)-start < 8 {
			dst = append(dst, ' ')
		}
		return strconv.AppendUint(append(dst, " - Transaction ID 0x"...), uint64(binary.BigEndian.Uint32(b[4:])), 16)
	}
	if b[0] == 1 {
		dst = appendMAC(append(dst, "Boot Request from "...), b[28:34])
		return append(appendMAC(append(dst, " ("...), b[28:34]), ')')
	}
	return append(dst, "Boot Reply"...)
}

// dhcpOption is what an option's data is: addresses, a number, text or bytes.
type dhcpOption struct {
	name, label string
	kind        Kind
}

var dhcpOptionTable = map[uint8]dhcpOption{
	1:   {"dhcp.option.subnet_mask", "Subnet Mask", KindAddr},
	3:   {"dhcp.option.router", "Router", KindAddr},
	6:   {"dhcp.option.domain_name_server", "Domain Name Server", KindAddr},
	12:  {"dhcp.option.hostname", "Host Name", KindText},
	15:  {"dhcp.option.domain_name", "Domain Name", KindText},
	26:  {"dhcp.option.interface_mtu", "Interface MTU", KindUint},
	28:  {"dhcp.option.broadcast_address", "Broadcast Address", KindAddr},
	42:  {"dhcp.option.ntp_server", "Network Time Protocol Server", KindAddr},
	44:  {"dhcp.option.netbios_over_tcpip_name_server", "NetBIOS over TCP/IP Name Server", KindAddr},
	46:  {"dhcp.option.netbios_over_tcpip_node_type", "NetBIOS over TCP/IP Node Type", KindUint},
	50:  {"dhcp.option.requested_ip_address", "Requested IP Address", KindAddr},
	51:  {"dhcp.option.ip_address_lease_time", "IP Address Lease Time", KindUint},
	53:  {"dhcp.option.dhcp", "DHCP", KindUint},
	54:  {"dhcp.option.dhcp_server_id", "DHCP Server Identifier", KindAddr},
	56:  {"dhcp.option.message", "Message", KindText},
	57:  {"dhcp.option.dhcp_max_message_size", "Maximum DHCP Message Size", KindUint},
	58:  {"dhcp.option.renewal_time_value", "Renewal Time Value", KindUint},
	59:  {"dhcp.option.rebinding_time_value", "Rebinding Time Value", KindUint},
	60:  {"dhcp.option.vendor_class_id", "Vendor class identifier", KindText},
	66:  {"dhcp.option.tftp_server_name", "TFTP Server Name", KindText},
	67:  {"dhcp.option.bootfile_name", "Bootfile name", KindText},
	116: {"dhcp.option.dhcp_auto_configuration", "DHCP Auto-Configuration", KindUint},
}

func (e *emitter) dhcp() {
	e.word("dhcp.type", "Message type", 0, 1, 0, func(v int) string { return lookup([]string{1: "Boot Request", 2: "Boot Reply"}, v) })
	typ := e.uint("dhcp.hw.type", "Hardware type", 1, 1, 2)
	n := e.uint("dhcp.hw.len", "Hardware address length", 2, 1, 0)
	e.uint("dhcp.hops", "Hops", 3, 1, 0)
	e.uint("dhcp.id", "Transaction ID", 4, 4, 8)
	e.uint("dhcp.secs", "Seconds elapsed", 8, 2, 0)
	flags := e.uint("dhcp.flags", "Bootp flags", 10, 2, 4)
	e.bits("dhcp.flags.bc", "Broadcast flag", 10, 2, flags>>15, KindBool)
	e.addr("dhcp.ip.client", "Client IP address", 12, 4)
	e.addr("dhcp.ip.your", "Your (client) IP address", 16, 4)
	e.addr("dhcp.ip.server", "Next server IP address", 20, 4)
	e.addr("dhcp.ip.relay", "Relay agent IP address", 24, 4)
	if typ == 1 && n == 6 {
		e.raw("dhcp.hw.mac_addr", "Client MAC address", 28, 6, KindMAC)
	}
	e.addr("dhcp.cookie", "Magic cookie", 236, 4)
	dhcpOptions(e.b, func(code uint8, off, n int) bool {
		if code == 255 {
			// Zero is the type that tshark gives the end.
			e.emit(Item{Name: "dhcp.option.type", Label: "Option", Kind: KindUint, Word: "End"}, off-1, 1)
			return false
		}
		e.emit(Item{Name: "dhcp.option.type", Label: "Option", Kind: KindUint, Num: uint64(code), Word: dhcpOptionTable[code].label}, off-2, n+2)
		e.depth = 1
		e.uint("dhcp.option.length", "Length", off-1, 1, 0)
		e.raw("dhcp.option.value", "Value", off, n, KindBytes)
		e.dhcpOption(code, off, n)
		e.depth = 0
		return !e.done
	})
}

func (e *emitter) dhcpOption(code uint8, off, n int) {
	o, known := dhcpOptionTable[code]
	switch {
	case code == 55:
		for i := range n {
			e.word("dhcp.option.request_list_item", "Parameter Request List Item", off+i, 1, 0, func(v int) string { return dhcpOptionTable[uint8(v)].label })
		}
	case code == 61 && n == 7 && e.b[off] == 1:
		e.uint("dhcp.hw.type", "Hardware type", off, 1, 2)
		e.raw("dhcp.hw.mac_addr", "Client MAC address", off+1, 6, KindMAC)
	case code == 53 && n == 1:
		e.word(o.name, o.label, off, 1, 0, func(v int) string { return lookup(dhcpTypes[:], v) })
	case !known:
	case o.kind == KindAddr:
		for ; n >= 4; off, n = off+4, n-4 {
			e.addr(o.name, o.label, off, 4)
		}
	case o.kind == KindUint:
		if n == 1 || n == 2 || n == 4 {
			e.uint(o.name, o.label, off, n, 0)
		}
	default:
		e.raw(o.name, o.label, off, n, o.kind)
	}
}
