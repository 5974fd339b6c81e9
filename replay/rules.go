package replay

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"tundump/decode/field"
	"tundump/decode/packet"
)

// Rules say what may differ between what was recorded and what came. The zero
// value is right for tunnels: identifiers of connections, IP identification,
// time to live, checksums, sequence numbers, windows, TCP options and lengths
// are not looked at, DNS records may come in any order and be kept for any
// time. What is compared is in [Compared].
type Rules struct {
	ignore map[string]bool
	match  map[string]*regexp.Regexp
}

// Names of what is compared and is no field of its own.
const (
	udpPayload  = "udp.payload"
	icmpPayload = "data.data"
	ipPayload   = "ip.payload"
	dnsRecords  = "dns.resp"
	messageData = "tunnel.data"
	columnInfo  = "_ws.col.info"
)

// comparedFlags are the TCP flags that are looked at.
const comparedFlags = packet.FIN | packet.SYN | packet.RST | packet.ACK

// comparedFields are the fields of packets that must be equal.
var comparedFields = []string{
	"ip.src", "ip.dst", "ip.proto", "ipv6.src", "ipv6.dst",
	"tcp.srcport", "tcp.dstport", "tcp.flags.fin", "tcp.flags.syn", "tcp.flags.reset", "tcp.flags.ack",
	"udp.srcport", "udp.dstport",
	"icmp.type", "icmp.code", "icmp.ident", "icmp.seq", "icmp.mtu", "icmpv6.type", "icmpv6.code",
	"dns.flags.response", "dns.flags.rcode", "dns.qry.name", "dns.qry.type", "dns.a", "dns.aaaa", "dns.cname",
}

var payloads = []string{udpPayload, icmpPayload, ipPayload, dnsRecords, messageData, payloadNames[0], payloadNames[1]}

// Compared returns the names of what is compared by default, those that are no
// fields among them; of messages it is all their fields but identifiers.
func Compared() []string { return slices.Concat(comparedFields, payloads) }

// NewRules returns rules that leave out the fields in ignore and ask of those
// in match, each FIELD=REGEX, that what came matches instead of being equal. A
// field that is not compared otherwise is compared if it is in match. The error
// says which is wrong.
func NewRules(ignore, match []string) (Rules, error) {
	r := Rules{ignore: make(map[string]bool), match: make(map[string]*regexp.Regexp)}
	for _, name := range ignore {
		if err := known(name); err != nil {
			return r, err
		}
		r.ignore[name] = true
	}
	for _, m := range match {
		name, text, ok := strings.Cut(m, "=")
		if !ok {
			return r, fmt.Errorf("%q is not FIELD=REGEX", m)
		}
		if err := known(name); err != nil {
			return r, err
		}
		re, err := regexp.Compile(text)
		if err != nil {
			return r, fmt.Errorf("%s: %w", name, err)
		}
		r.match[name] = re
	}
	return r, nil
}

func known(name string) error {
	if _, ok := field.Lookup(name); ok || slices.Contains(payloads, name) || field.IsPrefix(name) {
		return nil
	}
	if n := field.Nearest(name); n != "" {
		return fmt.Errorf("there is no field %q; there is %s", name, n)
	}
	return fmt.Errorf("there is no field %q", name)
}

// ignores reports whether name, or what it stands below, may differ.
func (r *Rules) ignores(name string) bool {
	for n := name; len(r.ignore) > 0; {
		if r.ignore[n] {
			return true
		}
		dot := strings.LastIndexByte(n, '.')
		if dot < 0 {
			return false
		}
		n = n[:dot]
	}
	return false
}

// strict reports whether what is equal may be wrong all the same.
func (r *Rules) strict() bool { return len(r.match) > 0 }
