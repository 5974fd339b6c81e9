package field

import "tundump/decode/packet"

func dhcpFields() []Field {
	list := entries(hasApp(packet.AppDHCP), []entry{
		{"dhcp.type", Uint, 0, "1 request, 2 reply"},
		{"dhcp.hw.type", Uint, 2, "hardware type"},
		{"dhcp.hw.len", Uint, 0, "hardware address length"},
		{"dhcp.hops", Uint, 0, "relays passed"},
		{"dhcp.id", Uint, 8, "transaction identifier"},
		{"dhcp.secs", Uint, 0, "seconds since the client began"},
		{"dhcp.flags", Uint, 4, "flags"},
		{"dhcp.flags.bc", Bool, 0, "the answer is to be broadcast"},
		{"dhcp.ip.client", Addr, 0, "the client's address"},
		{"dhcp.ip.your", Addr, 0, "the address that the client is given"},
		{"dhcp.ip.server", Addr, 0, "the next server's address"},
		{"dhcp.ip.relay", Addr, 0, "the relay's address"},
		{"dhcp.hw.mac_addr", String, 0, "the client's hardware address"},
		{"dhcp.cookie", Addr, 0, "magic cookie"},
		{"dhcp.option.type", Uint, 0, "option code"},
		{"dhcp.option.length", Uint, 0, "option length"},
		{"dhcp.option.value", Bytes, 0, "option data"},
		{"dhcp.option.dhcp", Uint, 0, "message type: 1 discover, 2 offer, 3 request, 5 ack"},
		{"dhcp.option.subnet_mask", Addr, 0, "subnet mask"},
		{"dhcp.option.router", Addr, 0, "router"},
		{"dhcp.option.domain_name_server", Addr, 0, "DNS server"},
		{"dhcp.option.hostname", String, 0, "host name"},
		{"dhcp.option.domain_name", String, 0, "domain name"},
		{"dhcp.option.broadcast_address", Addr, 0, "broadcast address"},
		{"dhcp.option.requested_ip_address", Addr, 0, "address asked for"},
		{"dhcp.option.ip_address_lease_time", Uint, 0, "seconds of the lease"},
		{"dhcp.option.dhcp_server_id", Addr, 0, "the server's address"},
		{"dhcp.option.request_list_item", Uint, 0, "option that the client asks for"},
		{"dhcp.option.dhcp_max_message_size", Uint, 0, "largest message"},
		{"dhcp.option.renewal_time_value", Uint, 0, "seconds until renewal"},
		{"dhcp.option.rebinding_time_value", Uint, 0, "seconds until rebinding"},
		{"dhcp.option.vendor_class_id", String, 0, "vendor class"},
	})
	list = append(list, entries(hasApp(packet.AppDHCPv6), []entry{
		{"dhcpv6.msgtype", Uint, 0, "message type"},
		{"dhcpv6.xid", Uint, 6, "transaction identifier"},
		{"dhcpv6.option.type", Uint, 0, "option code"},
		{"dhcpv6.option.length", Uint, 0, "option length"},
		{"dhcpv6.duid.bytes", Bytes, 0, "DHCP unique identifier"},
		{"dhcpv6.duid.type", Uint, 0, "kind of identifier"},
		{"dhcpv6.iaid", Bytes, 0, "identity association"},
		{"dhcpv6.iaid.t1", Uint, 0, "seconds until renewal"},
		{"dhcpv6.iaid.t2", Uint, 0, "seconds until rebinding"},
		{"dhcpv6.iaaddr.ip", Addr, 0, "address"},
		{"dhcpv6.iaprefix.pref_addr", Addr, 0, "prefix"},
		{"dhcpv6.iaprefix.pref_len", Uint, 0, "prefix length"},
		{"dhcpv6.requested_option_code", Uint, 0, "option that is asked for"},
		{"dhcpv6.elapsed_time", Uint, 0, "milliseconds since the client began"},
	})...)
	return append(list, entries(hasApp(packet.AppNTP), []entry{
		{"ntp.flags", Uint, 2, "flags"},
		{"ntp.flags.li", Uint, 0, "leap indicator"},
		{"ntp.flags.vn", Uint, 0, "version"},
		{"ntp.flags.mode", Uint, 0, "mode: 3 client, 4 server"},
		{"ntp.stratum", Uint, 0, "stratum"},
		{"ntp.ppoll", Uint, 0, "polling interval"},
		{"ntp.precision", Uint, 0, "clock precision: a power of 2 in two's complement, as tshark has it"},
		{"ntp.refid", Bytes, 0, "reference"},
		{"ntp.reftime", String, 0, "when the clock was set"},
		{"ntp.org", String, 0, "when the request left"},
		{"ntp.rec", String, 0, "when it arrived"},
		{"ntp.xmt", String, 0, "when this left"},
	})...)
}

func smallFields() []Field {
	list := entries(hasApp(packet.AppSTUN), []entry{
		{"stun.type", Uint, 4, "message type"},
		{"stun.type.class", Uint, 4, "0 request, 1 indication, 0x10 success, 0x11 error"},
		{"stun.type.method", Uint, 4, "method: 1 binding, 3 allocate"},
		{"stun.length", Uint, 0, "length of the attributes"},
		{"stun.id", Bytes, 0, "transaction identifier"},
		{"stun.att.type", Uint, 4, "attribute type"},
		{"stun.att.username", String, 0, "user name"},
	})
	return append(list, entries(hasApp(packet.AppWireGuard), []entry{
		{"wg.type", Uint, 0, "1 initiation, 2 response, 3 cookie, 4 data"},
		{"wg.sender", Uint, 8, "sender's index"},
		{"wg.receiver", Uint, 8, "receiver's index"},
		{"wg.counter", Uint, 0, "counter of a data packet"},
	})...)
}
