package peer

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"time"

	"tundump/decode"
	"tundump/decode/bplist"
	"tundump/decode/frame"
	"tundump/replay"
)

// link is a live tunnel that stands for a recorded one.
type link struct {
	player *Player
	tunnel uint32
	was    [2]recordedAddr // IPv4, IPv6
	client *Client

	opened chan struct{} // closed once the server has answered the IP connection's Open

	mu       sync.Mutex
	live     map[int64]int64 // identifiers: recorded to live
	recorded map[int64]int64 // and back
	ip       int64           // the live one of the IP connection that packets go to
	hasIP    bool
	answered bool
	refused  error
	assigned []netip.Prefix
	out, in  *replay.Translator // of addresses: Send's and the reader's
	stack    FlowStack
	pumped   chan struct{} // closed when the stack's packets are no longer taken

	// of Send
	message decode.Message
	enc     encoder
	buf     []byte
	bytes   []byte
	pkts    [][]byte
}

// recordedAddr is an address as the recorded configuration has it.
type recordedAddr struct {
	text string
	addr netip.Addr
}

var families = [2]string{"IPv4", "IPv6"}

func newLink(p *Player, tunnel uint32) *link {
	l := &link{player: p, tunnel: tunnel, opened: make(chan struct{}), live: make(map[int64]int64), recorded: make(map[int64]int64)}
	var m decode.Message
	if rec := p.recorded(tunnel); rec == nil || m.Decode(decode.Event{Kind: decode.Record, Dir: decode.ServerToClient, Raw: rec}) != nil {
		return l
	}
	for i, family := range families {
		v := m.Configuration().Get(family).Get("Address")
		if a, ok := address(v); ok {
			l.was[i].text, _ = v.Text()
			l.was[i].addr = a
		}
	}
	return l
}

// start begins to read what the server sends.
func (l *link) start(conn net.Conn) {
	l.mu.Lock() // the reader must find the client
	defer l.mu.Unlock()
	l.client = NewClient(conn, ClientConfig{see: l.see})
}

func (l *link) close() {
	l.mu.Lock()
	stack, pumped := l.stack, l.pumped
	l.mu.Unlock()
	if stack != nil {
		stack.Close()
		<-pumped
	}
	l.client.Close()
}

// send sends packets, or one message.
func (l *link) send(items []replay.Item) error {
	l.player.cfg.Tap(true, items)
	if items[0].Kind != decode.Packet {
		return l.sendMessage(items[0].Data)
	}
	id, out, err := l.ready(l.player.ctx)
	if err != nil {
		return err
	}
	l.bytes, l.pkts = l.bytes[:0], l.pkts[:0]
	for i := range items {
		n := len(l.bytes)
		l.bytes = out.Append(l.bytes, items[i].Data)
		l.pkts = append(l.pkts, l.bytes[n:len(l.bytes):len(l.bytes)])
	}
	if l.buf, err = l.enc.batches(l.buf[:0], id, l.pkts); err != nil {
		return err
	}
	return l.put(l.buf)
}

func (l *link) put(rec []byte) error {
	if err := l.client.out.put(rec, nil); err != nil {
		<-l.client.done
		return ended(l.client.Err())
	}
	return nil
}

// ready waits until the server has assigned an address, and returns the IP
// connection and what translates to it.
func (l *link) ready(ctx context.Context) (int64, *replay.Translator, error) {
	timer := time.NewTimer(l.player.cfg.Timeout)
	defer timer.Stop()
	select {
	case <-l.opened:
	case <-timer.C:
		return 0, nil, fmt.Errorf("no answer to Open of the IP connection within %s", l.player.cfg.Timeout)
	case <-l.client.done:
		return 0, nil, fmt.Errorf("while waiting for the answer to Open: %w", ended(l.client.Err()))
	case <-ctx.Done():
		return 0, nil, ctx.Err()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ip, l.out, l.refused
}

// sendMessage sends a recorded message with an identifier of now.
func (l *link) sendMessage(rec []byte) error {
	m := &l.message
	if err := m.Decode(decode.Event{Kind: decode.Record, Dir: decode.ClientToServer, Raw: rec}); err != nil {
		return err // Compile has left it out
	}
	if !m.HasIdentifier || m.Command == decode.FetchConfiguration {
		return l.put(rec)
	}
	id := l.identify(m)
	var err error
	if l.buf, err = edit(l.buf[:0], rec, func(root bplist.Value) []bplist.Change { return []bplist.Change{identifier(root, id)} }); err != nil {
		return fmt.Errorf("%s of connection %d cannot be given a new identifier: %w", m.Command, m.Identifier, err)
	}
	return l.put(l.buf)
}

// identify returns the live identifier of a recorded connection, a new one
// when it is opened.
func (l *link) identify(m *decode.Message) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	id, known := l.live[m.Identifier]
	if known && m.Command != decode.Open {
		return id
	}
	for id = int64(rand.Uint32()); l.taken(id); id = int64(rand.Uint32()) {
	}
	l.live[m.Identifier], l.recorded[id] = id, m.Identifier
	if kind, ok := m.Int(decode.KeyTunnelType); m.Command == decode.Open && ok && kind == decode.TunnelIP {
		l.ip, l.hasIP = id, true
	}
	return id
}

// taken reports whether a live identifier is in use.
func (l *link) taken(id int64) bool {
	_, flow := l.client.lookup(id)
	_, known := l.recorded[id]
	return known || flow != nil
}

// edit appends a record in which some scalars of its root are replaced.
func edit(dst, rec []byte, changes func(root bplist.Value) []bplist.Change) ([]byte, error) {
	doc, err := bplist.Parse(rec[frame.HeaderLen:], bplist.Limits{})
	if err != nil {
		return dst, err
	}
	start := len(dst)
	dst, err = bplist.Edit(frame.Reserve(dst), &doc, changes(doc.Root())...)
	if err != nil {
		return dst[:start], err
	}
	return dst, frame.PutLength(dst, start)
}

// see takes a record of the server's, nil for what is no message; it reports
// false if it belongs to a flow of the client's.
func (l *link) see(rec []byte, m *decode.Message) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if m == nil {
		l.player.garbage.Add(1)
		return true
	}
	if m.Command == decode.Packets {
		if l.hasIP && m.HasIdentifier && m.Identifier == l.ip && decidePackets(m, step{}).do == doPackets {
			l.packets(m)
		}
		return true
	}
	if _, flow := l.client.lookup(m.Identifier); m.HasIdentifier && flow != nil {
		return false
	}
	l.player.push([]replay.Item{{Kind: decode.Record, Tunnel: l.tunnel, Data: l.translate(rec, m)}})
	return true
}

// translate returns a copy of a message of the server's in the recording's
// words.
func (l *link) translate(rec []byte, m *decode.Message) []byte {
	id, known := l.recorded[m.Identifier]
	if !known || !m.HasIdentifier {
		return append([]byte(nil), rec...)
	}
	assigns := m.Command == decode.OpenResult && l.hasIP && m.Identifier == l.ip
	if assigns && !l.answered {
		l.answer(m)
	}
	b, err := edit(nil, rec, func(root bplist.Value) []bplist.Change {
		changes := []bplist.Change{identifier(root, id)}
		if assigns {
			changes = l.addresses(changes, root)
		}
		return changes
	})
	if err == nil {
		return b
	}
	return append([]byte(nil), rec...) // no binary property list: compared as it is
}

// addresses adds what puts the recorded addresses in the place of the live ones.
func (l *link) addresses(changes []bplist.Change, root bplist.Value) []bplist.Change {
	conf := root.Get(decode.KeyConfiguration.String())
	for i, family := range families {
		v := conf.Get(family).Get("Address")
		if _, ok := address(v); ok && l.was[i].addr.IsValid() {
			changes = append(changes, bplist.Change{Value: v, Object: bplist.AppendString(nil, l.was[i].text)})
		}
	}
	return changes
}

func identifier(root bplist.Value, id int64) bplist.Change {
	return bplist.Change{Value: root.Get(decode.KeyIdentifier.String()), Object: bplist.AppendInt(nil, id)}
}

// answer takes the answer to the IP connection's Open.
func (l *link) answer(m *decode.Message) {
	code, ok := m.Int(decode.KeyResultCode)
	if !ok {
		return
	}
	l.answered = true
	defer close(l.opened)
	if code != decode.ResultSuccess {
		l.refused = &ResultError{Code: int(code)}
		return
	}
	l.assigned = ParseAssigned(m.Configuration()).Addresses
	var now, mapped []netip.Addr
	for _, p := range l.assigned {
		now = append(now, p.Addr())
	}
	for _, w := range l.was {
		if w.addr.IsValid() {
			mapped = append(mapped, l.player.cfg.Map(w.addr))
		}
	}
	if l.out, l.refused = replay.NewTranslator(mapped, now); l.refused == nil {
		l.in, l.refused = replay.NewTranslator(now, mapped)
	}
}

// packets takes the packets of a message: to the stack what is its own, the
// rest to be compared.
func (l *link) packets(m *decode.Message) {
	if l.in == nil {
		return
	}
	var items []replay.Item
	var own [][]byte
	size := 0
	for i := range m.PacketCount() {
		p, _ := m.Packet(i)
		size += len(p)
	}
	buf := make([]byte, 0, size)
	for i := range m.PacketCount() {
		p, _ := m.Packet(i)
		if l.stack != nil && aboutTCP(p) {
			own = append(own, p)
			continue
		}
		n := len(buf)
		buf = l.in.Append(buf, p)
		items = append(items, replay.Item{Kind: decode.Packet, Tunnel: l.tunnel, Data: buf[n:len(buf):len(buf)]})
	}
	if len(own) > 0 {
		_, _ = l.stack.Write(own) // fails once it is closed; TCP sends again what it drops
	}
	if len(items) > 0 {
		l.player.push(items)
	}
}

// aboutTCP reports whether a packet is TCP's, or an ICMP error about it.
func aboutTCP(p []byte) bool {
	const tcp, icmp, icmp6, unreachable, redirect, exceeded, parameter = 6, 1, 58, 3, 5, 11, 12
	switch {
	case len(p) >= 20 && p[0]>>4 == 4:
		l4 := p[min(len(p), int(p[0]&15)*4):]
		failed := len(l4) >= 8+20 && (l4[0] == unreachable || l4[0] == redirect || l4[0] == exceeded || l4[0] == parameter)
		return p[9] == tcp || p[9] == icmp && failed && l4[8+9] == tcp
	case len(p) >= 40 && p[0]>>4 == 6:
		l4 := p[40:]
		return p[6] == tcp || p[6] == icmp6 && len(l4) >= 8+40 && l4[0] < 128 && l4[8+6] == tcp
	}
	return false
}
