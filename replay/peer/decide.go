package peer

import (
	"errors"
	"fmt"
	"net/netip"

	"tundump/decode"
	"tundump/decode/bplist"
	"tundump/decode/frame"
)

// kind is what an identifier names in one tunnel.
type kind uint8

const (
	kindUnknown kind = iota
	kindIP
	kindTCP
	kindUDP
)

func (k kind) String() string { return [...]string{"unknown", "ip", "tcp", "udp"}[k] }

// verb is what a server does for a message.
type verb uint8

const (
	doNothing  verb = iota // why says why, if that is worth a line in the log
	doFetch                // answer with the configuration
	doOpenIP               // open an IP connection
	doOpenTCP              // open a TCP flow to host and port
	doOpenUDP              // open a UDP flow
	doRefuse               // openResult with code; why says why
	doData                 // data to the remote host
	doDatagram             // data to endpoint
	doPackets              // the message's packets to the device
	doSuspend              // stop sending for this connection
	doResume               // go on
	doClose                // end the connection; flush says whether what is queued is still written
)

// step is what one message asks of a server.
type step struct {
	do       verb
	id       int64
	kind     kind // of doRefuse: what was to be opened, unknown if that was not said
	code     int
	why      string
	host     string
	port     uint16
	data     []byte // aliases the record
	endpoint netip.AddrPort
	flush    bool
}

// maxHost is the longest name that DNS has, in text.
const maxHost = 253

// readRecord decodes a record that came from a client. It reports false for a
// record that is skipped: a bare length field. An error ends the tunnel: where
// Apple's server closes it, and where its process would die.
//
// Source: handlePacket in Tunnel.swift.
func readRecord(m *decode.Message, rec []byte) (bool, error) {
	if len(rec) == frame.HeaderLen {
		return false, nil
	}
	err := m.Decode(decode.Event{Kind: decode.Record, Dir: decode.ClientToServer, Raw: rec})
	if err == nil && m.Command != 0 {
		if _, odd := m.Root().NonStringKey(); !odd {
			return true, nil
		}
	}
	for _, p := range m.Problems {
		if p.Outcome == decode.ClosesTunnel || p.Outcome == decode.Crashes {
			return false, errors.New(p.Text)
		}
	}
	if err == nil {
		err = errors.New("a message without a known command")
	}
	return false, err
}

// decide says what a message asks of a server. open says what the message's
// identifier names at this moment. It has no state and does no I/O.
//
// Where Apple's server gives no answer although the client waits for one, or
// dies, the answer is the code that the protocol has for it.
//
// Source: handleMessage in Tunnel.swift and ServerTunnel.swift, and
// PROTOCOL.md sections 5, 6 and 9.
func decide(m *decode.Message, open func(id int64) kind) step {
	if m.Command == decode.FetchConfiguration {
		return step{do: doFetch}
	}
	if !m.HasIdentifier {
		return step{why: "no identifier"}
	}
	s := step{id: m.Identifier}
	if m.Command == decode.Open {
		return decideOpen(m, s)
	}
	k := open(m.Identifier)
	if k == kindUnknown {
		return s
	}
	switch m.Command {
	case decode.Data:
		return decideData(m, s, k)
	case decode.Packets:
		if k == kindIP {
			return decidePackets(m, s)
		}
	case decode.Close:
		how, ok := m.Int(decode.KeyCloseType)
		if ok && how == decode.CloseNone {
			return s
		}
		s.do, s.flush = doClose, ok && how == decode.CloseWrite
	case decode.Suspend:
		s.do = doSuspend
	case decode.Resume:
		s.do = doResume
	}
	return s
}

func decideOpen(m *decode.Message, s step) step {
	refuse := func(k kind, why string) step {
		s.do, s.kind, s.code, s.why = doRefuse, k, decode.ResultInvalidParam, why
		return s
	}
	tunnelType, ok := m.Int(decode.KeyTunnelType)
	switch {
	case !ok:
		return refuse(kindUnknown, "tunnel-type is missing or no number")
	case tunnelType == decode.TunnelIP:
		s.do = doOpenIP
		return s
	case tunnelType != decode.TunnelApp:
		return refuse(kindUnknown, fmt.Sprintf("tunnel-type %d", tunnelType))
	}
	flowType, ok := m.Int(decode.KeyAppProxyFlowType)
	switch {
	case !ok:
		return refuse(kindUnknown, "app-proxy-flow-type is missing or no number")
	case flowType == decode.FlowUDP:
		s.do = doOpenUDP
		return s
	case flowType != decode.FlowTCP:
		return refuse(kindUnknown, fmt.Sprintf("app-proxy-flow-type %d", flowType))
	}
	host, ok := m.Host()
	if !ok || host == "" || len(host) > maxHost {
		return refuse(kindTCP, "host is missing, no string, empty or too long")
	}
	port, ok := m.Port()
	if !ok || port < 1 || port > 65535 {
		return refuse(kindTCP, "port is missing or no number from 1 to 65535")
	}
	s.do, s.host, s.port = doOpenTCP, host, uint16(port)
	return s
}

// decideData follows Apple's rule which data is a datagram: that with a host
// that is a string and a port that is a number.
func decideData(m *decode.Message, s step, k kind) step {
	b, ok := m.Data()
	if !ok {
		return s
	}
	switch {
	case k == kindTCP && !m.HasEndpoint():
		s.do, s.data = doData, b
	case k == kindUDP && m.HasEndpoint():
		host, _ := m.Host()
		port, _ := m.Port()
		addr, err := netip.ParseAddr(host)
		if err != nil || addr.Zone() != "" || port < 1 || port > 65535 {
			s.why = "a datagram without a numeric address and a port from 1 to 65535"
			return s
		}
		s.do, s.data, s.endpoint = doDatagram, b, netip.AddrPortFrom(addr.Unmap(), uint16(port))
	}
	return s
}

// decidePackets takes all packets of a message or none: both arrays must fit
// and be of one length.
func decidePackets(m *decode.Message, s step) step {
	q := m.Value(decode.KeyProtocols)
	if q.Type() != bplist.Array || q.Len() != m.PacketTotal() {
		s.why = "packets and protocols do not fit each other"
		return s
	}
	for i := range m.PacketCount() {
		if p, _ := m.Packet(i); p == nil || !q.At(i).IsNumber() {
			s.why = "packets has an element that is no data, or protocols one that is no number"
			return s
		}
	}
	s.do = doPackets
	return s
}
