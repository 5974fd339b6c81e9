package peer

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"

	"tundump/decode"
	"tundump/decode/bplist"
	"tundump/decode/frame"
)

// encoder builds records, one at a time: what a method returns is valid until
// the next call.
type encoder struct {
	w    bplist.Writer
	buf  []byte
	refs []bplist.Ref
	// of a packets message
	pkts     [][]byte
	families []int64
}

// encoders keeps the buffers of encoders that are used now and then.
var encoders = sync.Pool{New: func() any { return new(encoder) }}

var errTooLong = errors.New("no receiver takes so long a message")

// record frames a message of the pairs that build describes, behind command
// and identifier.
func (e *encoder) record(dst []byte, cmd decode.Command, id int64, pairs ...bplist.Ref) ([]byte, error) {
	start := len(dst)
	e.refs = append(e.refs[:0], e.key(decode.KeyIdentifier), e.w.Int(id), e.key(decode.KeyCommand), e.w.Int(int64(cmd)))
	e.refs = append(e.refs, pairs...)
	dst, err := e.w.Append(frame.Reserve(dst), e.w.Dict(e.refs...))
	if err != nil {
		return dst[:start], fmt.Errorf("peer: encode %s: %w", cmd, err)
	}
	if n := len(dst) - start; n > frame.MaxLen {
		return dst[:start], fmt.Errorf("peer: encode %s of %d bytes: %w", cmd, n, errTooLong)
	}
	return dst, frame.PutLength(dst, start)
}

// single is record for a message that stands alone.
func (e *encoder) single(cmd decode.Command, id int64, pairs ...bplist.Ref) (rec []byte, err error) {
	e.buf, err = e.record(e.buf[:0], cmd, id, pairs...)
	e.w.Reset()
	return e.buf, err
}

func (e *encoder) key(k decode.Key) bplist.Ref { return e.w.String(k.String()) }

// plain is a message without further keys: suspend, resume, and the request
// of fetchConfiguration.
func (e *encoder) plain(cmd decode.Command, id int64) ([]byte, error) { return e.single(cmd, id) }

func (e *encoder) close(id int64, how int) ([]byte, error) {
	return e.single(decode.Close, id, e.key(decode.KeyCloseType), e.w.Int(int64(how)))
}

func (e *encoder) openResult(id int64, code int) ([]byte, error) {
	return e.single(decode.OpenResult, id, e.key(decode.KeyResultCode), e.w.Int(int64(code)))
}

func (e *encoder) openResultIP(id int64, c *Configuration, a assignment) ([]byte, error) {
	conf, err := describe(&e.w, c.forClient(a))
	if err != nil {
		e.w.Reset()
		return nil, err
	}
	return e.single(decode.OpenResult, id, e.key(decode.KeyResultCode), e.w.Int(decode.ResultSuccess), e.key(decode.KeyConfiguration), conf)
}

func (e *encoder) fetchAnswer(c *Configuration) ([]byte, error) {
	conf, err := describe(&e.w, c.forFetch())
	if err != nil {
		e.w.Reset()
		return nil, err
	}
	return e.single(decode.FetchConfiguration, 0, e.key(decode.KeyConfiguration), conf)
}

func (e *encoder) openIP(id int64) ([]byte, error) {
	return e.single(decode.Open, id, e.key(decode.KeyTunnelType), e.w.Int(decode.TunnelIP))
}

// openTCP asks for a TCP flow. port is a string in the networkextension fork
// and a number in Apple's original.
func (e *encoder) openTCP(id int64, host, port string, number int64) ([]byte, error) {
	p := e.w.Int(number)
	if port != "" {
		p = e.w.String(port)
	}
	return e.single(decode.Open, id,
		e.key(decode.KeyTunnelType), e.w.Int(decode.TunnelApp),
		e.key(decode.KeyAppProxyFlowType), e.w.Int(decode.FlowTCP),
		e.key(decode.KeyHost), e.w.String(host), e.key(decode.KeyPort), p)
}

func (e *encoder) openUDP(id int64) ([]byte, error) {
	return e.single(decode.Open, id,
		e.key(decode.KeyTunnelType), e.w.Int(decode.TunnelApp),
		e.key(decode.KeyAppProxyFlowType), e.w.Int(decode.FlowUDP))
}

func (e *encoder) data(id int64, b []byte) ([]byte, error) {
	return e.single(decode.Data, id, e.key(decode.KeyData), e.w.Data(b))
}

func (e *encoder) datagram(id int64, b []byte, peer netip.AddrPort) ([]byte, error) {
	return e.single(decode.Data, id, e.key(decode.KeyData), e.w.Data(b),
		e.key(decode.KeyHost), e.w.String(peer.Addr().String()), e.key(decode.KeyPort), e.w.Int(int64(peer.Port())))
}

// packetCost is what a packet may add to a message beyond its own bytes: the
// data object's marker and count, two references and an offset.
const packetCost = 16

// maxBatch is how many bytes of packets, at packetCost each, certainly fit
// into a message with its keys.
const maxBatch = frame.MaxLen - 1024

// packets appends to dst one message of the packets in e.pkts.
func (e *encoder) packets(dst []byte, id int64) ([]byte, error) {
	e.families = e.families[:0]
	for _, p := range e.pkts {
		e.families = append(e.families, familyOf(p))
	}
	dst, err := e.record(dst, decode.Packets, id,
		e.key(decode.KeyPackets), e.w.DataArray(e.pkts),
		e.key(decode.KeyProtocols), e.w.IntArray(e.families))
	e.w.Reset()
	return dst, err
}

// batches appends as many packets messages to dst as pkts need: at most 32
// packets each, as Apple's server, and never over the size that a receiver
// takes.
func (e *encoder) batches(dst []byte, id int64, pkts [][]byte) ([]byte, error) {
	var err error
	for len(pkts) > 0 && err == nil {
		n, size := 0, 0
		for n < len(pkts) && n < decode.MaxPacketsPerMessage {
			size += len(pkts[n]) + packetCost
			if size > maxBatch && n > 0 {
				break
			}
			n++
		}
		e.pkts = append(e.pkts[:0], pkts[:n]...)
		dst, err = e.packets(dst, id)
		pkts = pkts[n:]
	}
	clear(e.pkts)
	return dst, err
}

// familyOf returns the address family that Darwin has for a packet.
func familyOf(p []byte) int64 {
	if len(p) > 0 && p[0]>>4 == 6 {
		return decode.FamilyIPv6
	}
	return decode.FamilyIPv4
}
