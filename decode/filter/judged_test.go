package filter_test

// judged are filters that tshark and this package are asked over the same
// packets: every operator, every function and every kind of field.
var judged = []string{
	// above the transport; what needs segments put together is compared by
	// cmd/tundump's TestCompare, with each side's way of doing so
	`http`, `http.request`, `http.request.method == "GET"`, `http.request.method in {"GET", "POST"}`, `http.host`, `http.host contains "google"`,
	`http.response.code >= 400`, `http.request.uri matches "^/[a-m]"`, `upper(http.request.method) == "POST" && tcp.port == 80`,
	`tls.handshake.extensions_server_name contains "we"`, `quic.version`, `quic.version == 1`, `dns.time > 0.05`,
	// presence
	`ip`, `ipv6`, `tcp`, `udp`, `icmp`, `icmpv6`, `dns`, `mdns`, `frame`,
	`ssh`, `igmp`, `gre`, `sctp`, `llmnr`,
	`ip.addr`, `tcp.flags.syn`, `tcp.payload`, `udp.payload`, `dns.a`, `dns.aaaa`, `dns.cname`, `tcp.options.mss_val`, `icmp.mtu`,
	// comparisons
	`tcp.port == 443`, `tcp.port eq 443`, `tcp.port any_eq 443`, `tcp.port != 443`, `tcp.port ne 443`, `tcp.port all_ne 443`,
	`tcp.port === 443`, `tcp.port all_eq 443`, `tcp.port !== 443`, `tcp.port any_ne 443`, `tcp.port ~= 443`,
	`ip.ttl < 64`, `ip.ttl lt 64`, `ip.ttl <= 64`, `ip.ttl le 64`, `ip.len > 1400`, `ip.len gt 1400`, `ip.len >= 1400`, `ip.len ge 1400`,
	`frame.len > 012`, `frame.len > 0x40`, `frame.len > 0b1000000`, `frame.len > 'G'`, `frame.len > '\x40'`, `frame.len > '\100'`,
	`frame.number < 100`, `frame.time_epoch >= 1500000000`, `frame.time_epoch < 1500000000.5`,
	// several values
	`any tcp.port > 1023`, `all tcp.port > 1023`, `any tcp.port != 443`, `all tcp.port == 443`, `any ip.addr == 10.0.0.0/8`, `all ip.addr == 10.0.0.0/8`,
	`!(tcp.port == 443)`, `not tcp.port == 443`, `!tcp.port == 443 && tcp`, `all tcp.port in {0..1023}`, `any tcp.port === 443`, `all tcp.port !== 443`, `all tcp.port != 443`, `any tcp.port !== 443`, `not all tcp.port == 443`, `not any tcp.port == 443`,
	`ip.src == ip.dst`, `tcp.srcport == tcp.dstport`, `tcp.srcport < tcp.dstport`, `tcp.port == tcp.srcport`, `tcp.port != tcp.srcport`, `tcp.port === tcp.srcport`,
	`udp.srcport == udp.dstport`, `udp.srcport <= udp.dstport < 1024`, `ip.addr == ip.src`,
	// logic
	`tcp && ip.ttl < 64`, `tcp and ip.ttl < 64`, `udp || icmp`, `udp or icmp`, `udp or tcp and ip.ttl < 64`, `(udp or tcp) and ip.ttl < 64`,
	`not tcp and not udp`, `!!tcp`, `not not tcp`, `!tcp && !udp || ipv6`, `tcp.flags.syn == 1 && tcp.flags.ack == 0`, `!(tcp.flags.syn == 1) and tcp`,
	// addresses
	`ip.addr == 10.0.0.0/8`, `ip.addr != 10.0.0.0/8`, `ip.src == 192.168.0.0/16 && ip.dst != 192.168.0.0/16`, `ip.dst == 224.0.0.0/4`, `ip.addr < 10.0.0.255`,
	`ip.src >= 172.16.0.0/12`, `ip.src > 172.16.0.0/12`, `ip.src <= 172.16.0.0/12`, `ip.addr in {10.0.0.0/8, 192.168.0.0 .. 192.168.255.255}`,
	`ipv6.addr == fe80::/10`, `ipv6.addr != fe80::/10`, `ipv6.src == fe80::/64`, `ipv6.dst == ff02::1:2 || ipv6.dst == ff02::fb`, `ipv6.addr > ff00::`,
	`ip.addr & 0.0.0.1`, `ip.src & 255.0.0.0 == 10.0.0.0`, `ip.src[0:2] == 0a:00`, `ip.src[3] == 0xff`, `len(ip.src) == 4`, `len(ipv6.src) == 16`, `dns.a == 10.0.0.0/8`,
	// sets
	`tcp.port in {443}`, `tcp.port in {80, 443, 8000..8999}`, `tcp.port not in {80, 443}`, `not tcp.port in {80, 443}`, `udp.port in {53, 5353 .. 5355}`, `icmp.type in {0, 8}`,
	`tcp.flags.syn in {1}`, `dns.qry.name in {"www.google.com", "a".."b"}`, `tcp.payload in {00, 0d:0a}`,
	// booleans and names for numbers
	`tcp.flags.syn == True`, `tcp.flags.syn == TRUE`, `tcp.flags.syn == FALSE`, `tcp.flags.syn == 1`, `tcp.flags.syn == 0`, `tcp.flags.syn == 7`, `tcp.flags.syn == Set`, `tcp.flags.ack == "Not set"`,
	`tcp.flags.fin != 0`, `tcp.flags.reset > 0`, `tcp.flags.push == tcp.flags.ack`, `ip.flags.df == 1`, `ip.flags.mf == 1 or ip.frag_offset > 0`, `ip.proto == UDP`, `ip.proto == "ICMP"`, `ipv6.nxt == ICMPv6`,
	`icmpv6.type == "Neighbor Solicitation"`, `dns.flags.rcode == "No such name"`, `dns.qry.type == "AAAA (IPv6 Address)"`, `dns.flags.response == 1`, `dns.flags.rcode != 0`, `dns.qry.type == 28`,
	// arithmetic
	`tcp.flags & 0x02`, `tcp.flags & 2 == 2`, `tcp.flags & 0x12 == 0x12`, `tcp.flags bitwise_and 4`, `tcp.flags & tcp.flags == 0x10`, `tcp.len & 1 == 1`, `tcp.len & 1 + 1`, `ip.dsfield & 0xfc`,
	`tcp.len + tcp.hdr_len + ip.hdr_len == ip.len`, `udp.length + 20 == ip.len`, `tcp.len * 2 > 2000`, `tcp.len / 2 > 500`, `tcp.len % 2 == 1`, `tcp.srcport - tcp.dstport > 0`, `-tcp.len < 0`,
	`tcp.port + 1 == 81`, `tcp.port == 80 + 363`, `{tcp.len + 1} * 2 == 2`, `tcp.len + 1 * 2 == 2`, `tcp.len - 1`, `tcp.srcport / 0 == 0`, `tcp.flags == +0x2`,
	// text
	`dns.qry.name == "www.google.com"`, `dns.qry.name == www.google.com`, `dns.qry.name != "www.google.com"`, `dns.qry.name >= "m"`, `dns.qry.name < m`,
	`dns.qry.name contains "google"`, `dns.qry.name contains google`, `dns.qry.name contains "\x67oogle"`, `dns.qry.name contains "\147oogle"`, `dns.qry.name contains r"google"`, `dns.qry.name contains 'g'`,
	`dns.qry.name matches "GOOGLE"`, `dns.qry.name ~ "google"`, `dns.qry.name matches r"\.com$"`, `dns.qry.name matches "\\.(com|net)$"`, `dns.qry.name matches r"(?-i)[A-Z]"`, `dns.qry.name matches r"^[^.]+$"`,
	`lower(dns.qry.name) contains "google"`, `upper(dns.qry.name) == "WWW.GOOGLE.COM"`, `lower(dns.qry.name) == lower(dns.qry.name)`, `upper(dns.qry.name)[0:3] == "WWW"`,
	`len(dns.qry.name) > 20`, `len(tcp.payload) == 1`, `len(udp.payload) >= 1000`, `count(ip.addr) == 2`, `count(dns.a) > 1`, `count(tcp.port) < 3`,
	`string(ip.src) matches r"^10\."`, `string(frame.number) matches "[13579]$"`, `string(tcp.flags) == "2"`, `string(ip.ttl) contains "6"`, `string(tcp.dstport)[0] == "4"`,
	`max(tcp.srcport, tcp.dstport) < 10000`, `min(tcp.srcport, tcp.dstport) == 443`, `min(udp.srcport, udp.dstport) == 53`, `abs(tcp.len) > 1000`, `max(ip.ttl, 64) == 64`,
	`frame.protocols contains "udp:dns"`, `frame.protocols matches "^raw:ip:icmp"`,
	// bytes
	`tcp.payload[0:3] == 16:03:01`, `tcp.payload[0:3] == 16-03-01`, `tcp.payload[0:3] == 16.03.01`, `tcp.payload[0:3] == 160301`, `tcp.payload[0] == 16`, `tcp.payload[0] == 0x16`, `tcp.payload[0] == '\x16'`,
	`tcp.payload[0] == "G"`, `tcp.payload[:4] == "GET "`, `tcp.payload[0-3] == "GET "`, `tcp.payload[0,1,2-3] == "GET "`, `tcp.payload[-2:] == 0d:0a`, `tcp.payload[-4:2] == 0d:0a`, `tcp.payload[-4--1] == 0d:0a:0d:0a`,
	`tcp.payload[2:]`, `tcp.payload[1000:10]`, `tcp.payload[0:100000]`, `tcp.payload[0:2] & 10:00`, `tcp.payload & 01`, `tcp.payload[0] >= 17`, `tcp.payload < 16:03:01`, `tcp.payload > 47`, `tcp.payload[0:1] < 15:03`,
	`tcp.payload contains "HTTP/1.1"`, `tcp.payload contains 47:45:54`, `tcp.payload contains "Host: "`, `udp.payload contains 00:00:01:00:01`, `tcp.payload matches "^get "`, `tcp.payload matches r"^\x16\x03[\x00-\x03]"`,
	`tcp.payload matches r"[\x80-\xff]{8}"`, `udp.payload matches r"^[\xc0-\xff]....\x08"`, `tcp.payload contains tcp.payload[0:2]`, `udp.payload[0:2] == udp.payload[2:2]`, `dns.qry.name[0:3] == "www"`, `dns.qry.name[-3:] == "com"`,
	`dns.qry.name[0] == 77`, `dns.qry.name[0,4] == "wg"`, `dns.qry.name[0:3][0:1] == "w"`,
	`frame[0] == 45`, `ip[8] < 40`, `tcp[13] & 2`, `udp[0:2] == 00:35`, `frame contains "google"`, `tcp contains "HTTP/1.1"`, `udp contains "google"`, `ip contains "google"`, `frame[-1] == 00`, `len(frame) > 100`, `frame[9] == 11 and udp`,
	// layers
	`ip.src#1 == 10.0.0.0/8`, `tcp.port#[1-2] == 443`, `tcp.port#2`,
	// headers
	`ip.version == 4`, `ip.hdr_len > 20`, `ip.id == 0x0000`, `ip.checksum.status == 1 or ip.checksum.status == 2`, `ipv6.hlim == 255`, `ipv6.plen > 100`, `ipv6.flow != 0`, `tcp.window_size_value < 1000`, `tcp.options.wscale.shift in {0..14}`,
	`tcp.options.mss_val < 1460`, `tcp.checksum.status == "Good"`, `tcp.checksum.status == Bad`, `udp.length > 100 && udp.length < 200`, `udp.checksum.status == 1`, `udp.checksum.status == "Not present"`, `icmp.code != 0`, `icmp.seq > 10`, `icmpv6.code == 0`, `dns.id == 0x0001`, `tcp.hdr_len > 20`,
	// flows
	`tcp.stream in {0..3}`, `tcp.stream == 7`, `tcp.seq == 1 && tcp.len == 0`, `tcp.ack > 1000`, `tcp.window_size < 1000`,
	`tcp.analysis.retransmission`, `tcp.analysis.out_of_order`, `tcp.analysis.lost_segment`, `tcp.analysis.duplicate_ack`, `tcp.analysis.duplicate_ack_num > 1`, `tcp.analysis.zero_window`,
	`tcp.analysis.keep_alive || tcp.analysis.keep_alive_ack`, `tcp.analysis.ack_rtt > 0.1`, `tcp.analysis.ack_rtt in {0.1 .. 0.2}`, `tcp.analysis.bytes_in_flight > 10000`, `tcp.analysis.initial_rtt > 0.2`, `dns.time > 0.01`, `dns.response_to`, `tcp.analysis.flags`,
}

// refused are filters that both take for wrong.
var refused = []string{
	`tcp.nosuch`, `nosuch`, `443`, `"443"`, `tcp.port == 443 443`, `tcp.port ==`, `tcp.port == 443 and`, `tcp.port in`, `()`, `(tcp`, `tcp)`, `tcp &`, `tcp AND udp`, `any tcp.port`, `all (tcp.port == 443)`, `tcp.port == 443 or or tcp`,
	`tcp.port == "443"`, `tcp.port == http`, `tcp.port == 1x`, `tcp.port == 0x`, `tcp.port == 80.5`, `tcp.port == 99999999999999999999`, `tcp.flags.syn == maybe`, `tcp.flags.syn == "True"`,
	`ip.src == 1`, `ip.src == "10.0.0.1"`, `ip.src == 10.0.0.300`, `ip.src == 10.0.0.0/33`, `ip.src == ::1`, `ipv6.src == 10.0.0.1`, `frame.time_epoch == abc`, `frame.time_epoch > 1e3`, `frame.time_epoch == 1.1234567890123`,
	`tcp.payload == xyz`, `tcp.payload == :`, `tcp.payload[0:3] == www`, `dns.qry.name == "abc`, `dns.qry.name contains "\q"`, `dns.qry.name matches google`, `dns.qry.name matches "("`,
	`tcp.port contains 4`, `ip.src contains "1"`, `tcp.port matches "44"`, `ip.src matches "10"`, `tcp.flags.syn & 1`, `ip.src / 2`, `ip.src + 1`,
	`tcp.payload[`, `tcp.payload[]`, `tcp.payload[a]`, `tcp.payload[0:0]`, `tcp.payload[1:-1]`, `tcp.payload[3-1]`, `tcp.payload[1-]`, `tcp.srcport[0] == 1`,
	`ip.src == tcp.port`, `ip.src == ipv6.src`, `dns.qry.name == tcp.payload`, `frame.time_epoch > frame.len`, `tcp.port in {}`, `tcp.port in {80 443}`, `tcp.port in {"80"}`, `tcp.port in 80`,
	`len(tcp.payload)`, `count(tcp.port)`, `lower(tcp.port) == "a"`, `upper(ip.src) == "A"`, `nofunc(tcp.port) == 1`, `lower() == "a"`, `lower(dns.qry.name, dns.qry.name) == "a"`, `string(dns.qry.name) == "a"`, `len(1) == 1`, `max(1, 2) == 2`,
}
