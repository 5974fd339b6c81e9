package main

import (
	"fmt"
	"strconv"
	"strings"

	"tundump/decode/packet"
)

// parseDecodeAs reads -d, as tshark has it: "tcp.port==8443,http". A range of
// ports is "udp.port==5000-5010,quic".
func parseDecodeAs(rules []string) (map[packet.Port]packet.App, error) {
	if len(rules) == 0 {
		return nil, nil
	}
	as := make(map[packet.Port]packet.App)
	for _, r := range rules {
		layer, rest, ok := strings.Cut(r, "==")
		value, name, ok2 := strings.Cut(rest, ",")
		if !ok || !ok2 {
			return nil, fmt.Errorf("-d %s: write a layer, a port and a protocol: tcp.port==8443,http", r)
		}
		var t packet.Transport
		switch strings.TrimSpace(layer) {
		case "tcp.port":
			t = packet.TCP
		case "udp.port":
			t = packet.UDP
		default:
			return nil, fmt.Errorf("-d %s: there is tcp.port and udp.port", r)
		}
		app, err := decodeAsApp(strings.TrimSpace(name))
		if err != nil {
			return nil, fmt.Errorf("-d %s: %w", r, err)
		}
		low, high, isRange := strings.Cut(strings.TrimSpace(value), "-")
		if !isRange {
			high = low
		}
		first, err1 := strconv.ParseUint(low, 10, 16)
		last, err2 := strconv.ParseUint(high, 10, 16)
		if err1 != nil || err2 != nil || last < first {
			return nil, fmt.Errorf("-d %s: %q is no port and no range of ports", r, value)
		}
		for n := first; n <= last; n++ {
			as[packet.Port{Transport: t, Number: uint16(n)}] = app
		}
	}
	return as, nil
}

// decodeAsApp returns the protocol of that name; data is none.
func decodeAsApp(name string) (packet.App, error) {
	if name == "data" {
		return packet.NoApp, nil
	}
	if app, ok := packet.LookupApp(name); ok {
		return app, nil
	}
	return packet.NoApp, fmt.Errorf("there is no protocol %q; there is data, %s", name, strings.Join(packet.Apps(), ", "))
}
