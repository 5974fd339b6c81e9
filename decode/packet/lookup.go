package packet

// LookupTransport returns the transport protocol with that name in
// frame.protocols.
func LookupTransport(name string) (Transport, bool) {
	for t := range transports {
		if transports[t].layer == name && name != "" {
			return Transport(t), true
		}
	}
	return NoTransport, false
}

// ProtocolNames returns the names of the protocols that packets have: of the
// IP versions, of the transports and of what is above them.
func ProtocolNames() []string {
	names := []string{"ip", "ipv6"}
	for _, t := range transports {
		if t.layer != "" {
			names = append(names, t.layer)
		}
	}
	for _, a := range apps {
		if a.name != "" {
			names = append(names, a.name)
		}
	}
	return names
}
