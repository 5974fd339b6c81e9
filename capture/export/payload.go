package export

import (
	"errors"
	"path/filepath"
	"strconv"

	"tundump/capture/session"
	"tundump/decode"
	"tundump/decode/flow"
	"tundump/decode/packet"
	"tundump/decode/reasm"
)

// payloads writes what the sides of flows said, each to a file of its own.
type payloads struct {
	files   *files
	flows   map[payloadKey]*flow.Follower
	memory  reasm.Memory // of all of them
	name    []byte
	bytes   int64
	missing int64
	err     error
}

type payloadKey struct {
	proto  packet.Transport
	tunnel uint32
	stream int64
}

func newPayloads(dir string) *payloads {
	return &payloads{
		files:  &files{path: dir + string(filepath.Separator), suffix: ".bin", all: make(map[string]*file)},
		flows:  make(map[payloadKey]*flow.Follower),
		memory: reasm.Memory{Total: 64 << 20},
	}
}

// packet takes in packet i of r.
func (p *payloads) packet(r *session.Row, i int) error {
	c := &r.Packets[i]
	a := &c.Flow
	if a.Quoted || a.Proto == packet.NoTransport {
		return nil
	}
	k := payloadKey{a.Proto, r.Event.Tunnel, a.Stream}
	f := p.flows[k]
	if f == nil {
		f = &flow.Follower{Memory: &p.memory}
		p.flows[k] = f
	}
	f.Packet(flow.Packet{Tunnel: r.Event.Tunnel, Number: r.FirstPacket + int64(i), Time: r.Event.Time, Facts: &c.Facts}, a, p.writer(k))
	return p.err
}

// message takes in the data of an app proxy's connection.
func (p *payloads) message(r *session.Row) error {
	m := r.Message
	if m == nil || m.Command != decode.Data || !m.HasIdentifier || r.Event.Flags&decode.Dropped != 0 {
		return nil
	}
	if b, ok := m.Data(); ok {
		p.write(payloadKey{tunnel: r.Event.Tunnel, stream: m.Identifier}, &flow.Chunk{Side: uint8(r.Event.Dir), Data: b})
	}
	return p.err
}

func (p *payloads) writer(k payloadKey) func(*flow.Chunk) {
	return func(c *flow.Chunk) { p.write(k, c) }
}

func (p *payloads) write(k payloadKey, c *flow.Chunk) {
	p.missing += c.Gap
	if p.err != nil || len(c.Data) == 0 {
		return
	}
	what := "-id"
	switch k.proto {
	case packet.TCP:
		what = "-tcp"
	case packet.UDP:
		what = "-udp"
	}
	b := strconv.AppendUint(append(p.name[:0], 'T'), uint64(k.tunnel), 10)
	b = strconv.AppendInt(append(b, what...), k.stream, 10)
	p.name = append(b, '-', '0'+c.Side)
	f, err := p.files.open(p.name)
	if err == nil {
		err = f.write(append(f.buffer(), c.Data...))
	}
	p.bytes += int64(len(c.Data))
	p.err = err
}

// close writes what is held behind gaps, and closes the files.
func (p *payloads) close() error {
	for k, f := range p.flows {
		f.End(p.writer(k))
	}
	return errors.Join(p.err, p.files.close())
}
