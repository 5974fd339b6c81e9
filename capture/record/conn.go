package record

import (
	"encoding/binary"
	"net/netip"

	"tundump/decode"
)

// TCP flags.
const (
	fin = 1 << iota
	syn
	rst
	psh
	ack
)

const (
	ethernetHeader = 14
	ipv4Header     = 20
	ipv6Header     = 40
	tcpHeader      = 20
	longestHeader  = ethernetHeader + ipv6Header + tcpHeader

	typeIPv4 = 0x0800
	typeIPv6 = 0x86dd

	// maxUnacked is how many bytes one end sends before the other is made to
	// acknowledge them, well inside the window of 65,535 << windowScale.
	maxUnacked  = 1 << 28
	windowScale = 14
	window      = 65535
)

// The options of a SYN: maximum segment size, no operation, window scale.
var (
	synOptions4 = []byte{2, 4, 1460 >> 8, 1460 & 255, 1, 3, 3, windowScale}
	synOptions6 = []byte{2, 4, 1440 >> 8, 1440 & 255, 1, 3, 3, windowScale}
)

// conn is one of a tunnel's two TCP connections as it is rebuilt. Its arrays
// have an element for each direction.
type conn struct {
	open   bool // the handshake is written
	reset  bool
	v6     bool
	iface  int
	window uint16
	fin    [2]bool
	id     [2]uint16 // IPv4 identification
	next   [2]uint32 // sequence number of the next byte
	acked  [2]uint32 // what the other end acknowledged of it
	header [2][longestHeader]byte
	sum    [2]uint32 // of the pseudo-header and the ports, without the length
}

// begin makes the headers between a, which sends c2s, and b.
func (c *conn) begin(iface int, a, b netip.AddrPort, isn uint32) {
	*c = conn{open: true, iface: iface, window: window, v6: a.Addr().Is6()}
	c.next = [2]uint32{isn, isn + 1<<30}
	c.acked = c.next
	c.address(decode.ClientToServer, a, b)
	c.address(decode.ServerToClient, b, a)
}

func (c *conn) address(d decode.Direction, from, to netip.AddrPort) {
	h := c.header[d][:]
	copy(h, mac(c.iface, d.Opposite()))
	copy(h[6:], mac(c.iface, d))
	ip := h[ethernetHeader:]
	addresses := ip[12:20]
	if c.v6 {
		binary.BigEndian.PutUint16(h[12:], typeIPv6)
		ip[0], ip[6], ip[7] = 6<<4, protocolTCP, ttl
		addresses = ip[8:40]
	} else {
		binary.BigEndian.PutUint16(h[12:], typeIPv4)
		ip[0], ip[6], ip[8], ip[9] = 4<<4|ipv4Header/4, dontFragment, ttl, protocolTCP
	}
	n := copy(addresses, from.Addr().AsSlice())
	copy(addresses[n:], to.Addr().AsSlice())
	tcp := h[c.tcp():]
	binary.BigEndian.PutUint16(tcp, from.Port())
	binary.BigEndian.PutUint16(tcp[2:], to.Port())
	c.sum[d] = sum(addresses) + protocolTCP + uint32(from.Port()) + uint32(to.Port())
}

const (
	protocolTCP  = 6
	ttl          = 64
	dontFragment = 0x40
)

// mac is the address of the end that sends d on an interface.
func mac(iface int, d decode.Direction) []byte {
	return []byte{2, 0, 0, 0, 0, byte(iface*2+int(d)) + 1}
}

// tcp is where the TCP header begins in a frame.
func (c *conn) tcp() int {
	if c.v6 {
		return ethernetHeader + ipv6Header
	}
	return ethernetHeader + ipv4Header
}

// maxPayload is how many bytes one packet can carry: 65,495 over IPv4, 65,515
// over IPv6, whose length field does not count its own header.
func (c *conn) maxPayload() int {
	if c.v6 {
		return 65535 - tcpHeader
	}
	return 65535 - ipv4Header - tcpHeader
}

// canAck reports whether an acknowledgement that carries nothing would
// acknowledge something: any other looks like a duplicate to every tool.
func (c *conn) canAck(d decode.Direction) bool {
	return c.acked[d.Opposite()] != c.next[d.Opposite()]
}

// frame fills in the header of the next packet of d, counts what it carries,
// and returns it. It stays valid until the next call for d. options is the
// SYN's, else nil.
func (c *conn) frame(d decode.Direction, flags byte, options, payload []byte) []byte {
	h := c.header[d][:c.tcp()+tcpHeader]
	n := tcpHeader + len(options) + len(payload)
	ip := h[ethernetHeader:]
	if c.v6 {
		binary.BigEndian.PutUint16(ip[4:], uint16(n))
	} else {
		c.id[d]++
		binary.BigEndian.PutUint16(ip[2:], uint16(ipv4Header+n))
		binary.BigEndian.PutUint16(ip[4:], c.id[d])
		binary.BigEndian.PutUint16(ip[10:], 0)
		binary.BigEndian.PutUint16(ip[10:], ^uint16(sum(ip[:ipv4Header])))
	}
	other := d.Opposite()
	tcp := h[c.tcp():]
	binary.BigEndian.PutUint32(tcp[4:], c.next[d])
	var acknowledged uint32
	if flags&ack != 0 {
		acknowledged = c.next[other]
		c.acked[other] = acknowledged
	}
	binary.BigEndian.PutUint32(tcp[8:], acknowledged)
	tcp[12], tcp[13] = byte(tcpHeader+len(options))/4<<4, flags
	binary.BigEndian.PutUint16(tcp[14:], c.window)
	binary.BigEndian.PutUint16(tcp[16:], 0)
	s := c.sum[d] + uint32(n) + sum(tcp[4:tcpHeader]) + sum(options) + sum(payload)
	binary.BigEndian.PutUint16(tcp[16:], ^fold(s))
	c.next[d] += uint32(len(payload))
	if flags&(syn|fin) != 0 {
		c.next[d]++
	}
	return h
}

func (c *conn) synOptions() []byte {
	if c.v6 {
		return synOptions6
	}
	return synOptions4
}

// endpoints makes a and b, which may be unknown or of different families, two
// addresses that one TCP connection can have: addresses for documentation
// (RFC 5737, RFC 3849) stand in for what is missing, a different pair for each
// tunnel.
func endpoints(a, b netip.AddrPort, tunnel uint32, iface int) (netip.AddrPort, netip.AddrPort) {
	a, aKnown := usable(a)
	b, bKnown := usable(b)
	v6 := aKnown && a.Addr().Is6() || !aKnown && bKnown && b.Addr().Is6()
	if !aKnown {
		a = netip.AddrPortFrom(standIn(v6, 0, tunnel, iface), portOr(a, uint16(1024+tunnel%tunnelsPerAddress)))
	}
	if !bKnown || b.Addr().Is6() != v6 {
		b = netip.AddrPortFrom(standIn(v6, 1, tunnel, iface), portOr(b, 8890))
	}
	return a, b
}

const tunnelsPerAddress = 64000

func usable(a netip.AddrPort) (netip.AddrPort, bool) {
	ip := a.Addr().Unmap().WithZone("")
	return netip.AddrPortFrom(ip, a.Port()), ip.IsValid() && !ip.IsUnspecified()
}

func portOr(a netip.AddrPort, port uint16) uint16 {
	if a.Port() != 0 {
		return a.Port()
	}
	return port
}

// standIn is the documentation address of one end: the client, the proxy or
// the upstream.
func standIn(v6 bool, end int, tunnel uint32, iface int) netip.Addr {
	who := iface + end // 0 client, 1 proxy, 2 upstream
	host := byte(1 + tunnel/tunnelsPerAddress%250)
	if v6 {
		return netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 13: byte(who), 15: host})
	}
	return netip.AddrFrom4([...][4]byte{{192, 0, 2, host}, {198, 51, 100, host}, {203, 0, 113, host}}[who])
}
