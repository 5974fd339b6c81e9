package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"tundump/capture/session"
	"tundump/capture/store"
	"tundump/decode"
	"tundump/decode/flow"
	"tundump/decode/packet"
)

// followFlags are those of tundump follow.
type followFlags struct {
	source     sourceFlags
	tcp, udp   int64
	connection string
	tunnel     uint32
	as         string
	side       string
}

func followCommand() *cobra.Command {
	f := followFlags{tcp: -1, udp: -1}
	c := &cobra.Command{
		Use:   "follow FILE --tcp N|--udp N|--connection ID|--tunnel N",
		Short: "print what was said over one stream",
		Long: `Prints what both sides of one stream said, in order, as Wireshark's Follow Stream
does: of a TCP or UDP flow inside a tunnel by its number, tcp.stream or
udp.stream; of an app proxy's connection by its identifier, with --tunnel if
several tunnels have it; or of a tunnel's own connection, its records.

TCP segments are put in order, repeated bytes come once, and what is missing in
the capture is marked. text prints each side's bytes as they are understood, a
line with their number before them, indented by a tab if they are the second
side's (Node 1), and dots for what cannot be printed; hex is a hex dump; raw is
the bytes and nothing else.`,
		Example: `  tundump follow session.pcapng --tcp 0
  tundump follow session.pcapng --tcp 3 --as hex
  tundump follow session.pcapng --connection 4711 --side 1 --as raw > answer.bin
  tundump follow session.pcapng --tunnel 1 --side 0 --as raw > records.bin`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args[0]) },
	}
	fl := c.Flags()
	fl.SortFlags = false
	fl.Int64Var(&f.tcp, "tcp", -1, "number of a TCP flow, as in tcp.stream")
	fl.Int64Var(&f.udp, "udp", -1, "number of a UDP flow, as in udp.stream")
	fl.StringVar(&f.connection, "connection", "", "identifier of an app proxy's connection, as in tunnel.identifier")
	fl.Uint32Var(&f.tunnel, "tunnel", 0, "number of a tunnel, as in tunnel.stream")
	fl.StringVar(&f.as, "as", "text", "text, hex or raw")
	fl.StringVar(&f.side, "side", "both", "0, who sent first (of a connection or tunnel: the client), 1, or both")
	f.source.register(fl)
	return c
}

func (f *followFlags) run(cmd *cobra.Command, file string) error {
	w, err := f.writer(cmd.OutOrStdout())
	if err != nil {
		return err
	}
	pick, what, err := f.picker(w)
	if err != nil {
		return err
	}
	c, err := f.source.open(cmd.Context(), file)
	if err != nil {
		return err
	}
	s := session.New(c.Store())
	err = followRows(cmd.Context(), s, c.Store(), pick, w)
	pick.end()
	if ferr := w.close(); err == nil {
		err = ferr
	}
	err = passed(cmd, c, err)
	if err == nil && !w.begun && cmd.Context().Err() == nil {
		err = fmt.Errorf("follow: there is no %s in %s", what, file)
	}
	return errors.Join(err, c.Close())
}

func followRows(ctx context.Context, s *session.Session, st *store.Store, pick picker, w *followWriter) error {
	for {
		row, err := s.Next(ctx)
		switch {
		case err == io.EOF, err != nil && ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		}
		pick.row(row)
		if w.err == nil && row.Index == st.Len()-1 {
			w.err = w.out.Flush()
		}
		if w.err != nil {
			return w.err
		}
	}
}

// picker takes from the rows what belongs to one stream.
type picker interface {
	row(r *session.Row)
	end()
}

func (f *followFlags) picker(w *followWriter) (p picker, what string, err error) {
	named := 0
	for _, is := range []bool{f.tcp >= 0, f.udp >= 0, f.connection != "", f.connection == "" && f.tunnel > 0} {
		if is {
			named++
		}
	}
	if named != 1 {
		return nil, "", usage(errors.New("follow: which stream? name one with --tcp N, --udp N, --connection ID or --tunnel N"))
	}
	switch {
	case f.tcp >= 0:
		w.kind, w.filter = "tcp", fmt.Sprintf("tcp.stream eq %d", f.tcp)
		return &packetPicker{w: w, proto: packet.TCP, stream: f.tcp}, fmt.Sprintf("TCP flow %d", f.tcp), nil
	case f.udp >= 0:
		w.kind, w.filter = "udp", fmt.Sprintf("udp.stream eq %d", f.udp)
		return &packetPicker{w: w, proto: packet.UDP, stream: f.udp}, fmt.Sprintf("UDP flow %d", f.udp), nil
	case f.connection != "":
		id, err := strconv.ParseInt(f.connection, 10, 64)
		if err != nil {
			return nil, "", usage(fmt.Errorf("--connection %s: an identifier is a number", f.connection))
		}
		w.kind, w.filter = "connection", fmt.Sprintf("tunnel.identifier == %d", id)
		if f.tunnel > 0 {
			w.filter += fmt.Sprintf(" && tunnel.stream == %d", f.tunnel)
		}
		return &connectionPicker{w: w, id: id, tunnel: f.tunnel}, fmt.Sprintf("app proxy's connection %d", id), nil
	}
	w.kind, w.filter = "tunnel", fmt.Sprintf("tunnel.stream == %d", f.tunnel)
	return &tunnelPicker{w: w, tunnel: f.tunnel}, fmt.Sprintf("tunnel %d", f.tunnel), nil
}

// packetPicker follows a flow inside a tunnel.
type packetPicker struct {
	w        *followWriter
	proto    packet.Transport
	stream   int64
	follower flow.Follower
}

func (p *packetPicker) row(r *session.Row) {
	for i := range r.Packets {
		c := &r.Packets[i]
		a := &c.Flow
		if a.Proto != p.proto || a.Quoted || a.Stream != p.stream {
			continue
		}
		from, to := netip.AddrPortFrom(c.Facts.Src, c.Facts.SrcPort), netip.AddrPortFrom(c.Facts.Dst, c.Facts.DstPort)
		if a.Side == 1 {
			from, to = to, from
		}
		p.w.begin(from.String(), to.String())
		p.follower.Packet(flow.Packet{Tunnel: r.Event.Tunnel, Number: r.FirstPacket + int64(i), Time: r.Event.Time, Facts: &c.Facts}, a, p.w.chunk)
	}
}

func (p *packetPicker) end() { p.follower.End(p.w.chunk) }

// connectionPicker follows an app proxy's connection: the first of its name,
// and what takes its place.
type connectionPicker struct {
	w      *followWriter
	id     int64
	tunnel uint32 // 0: the first that has it
	sent   [2]int64
}

func (p *connectionPicker) row(r *session.Row) {
	m := r.Message
	if m == nil || !m.HasIdentifier || m.Identifier != p.id || p.tunnel != 0 && r.Event.Tunnel != p.tunnel || r.Event.Flags&decode.Dropped != 0 {
		return
	}
	host, _ := m.Host()
	port, _ := m.Port()
	switch kind, _ := m.Int(decode.KeyTunnelType); {
	case m.Command == decode.Open && kind == decode.TunnelApp:
		p.tunnel = r.Event.Tunnel
		p.w.begin("client", endpoint(host, port))
	case m.Command == decode.Data:
		p.tunnel = r.Event.Tunnel
		p.w.begin("client", endpoint(host, port))
		if b, ok := m.Data(); ok && len(b) > 0 {
			d := r.Event.Dir
			p.w.chunk(&flow.Chunk{Side: uint8(d), Offset: p.sent[d], Time: r.Event.Time, Data: b})
			p.sent[d] += int64(len(b))
		}
	}
}

func (p *connectionPicker) end() {}

func endpoint(host string, port int64) string {
	if host == "" {
		return "datagrams"
	}
	return net.JoinHostPort(host, strconv.FormatInt(port, 10))
}

// tunnelPicker follows a tunnel's own stream.
type tunnelPicker struct {
	w      *followWriter
	tunnel uint32
}

func (p *tunnelPicker) row(r *session.Row) {
	ev := &r.Event
	if ev.Tunnel != p.tunnel {
		return
	}
	a := &r.Tunnel.Addresses
	p.w.begin(a.Client.String(), a.Listener.String())
	c := flow.Chunk{Side: uint8(ev.Dir), Offset: ev.Offset, Time: ev.Time}
	switch {
	case ev.Kind == decode.Gap && ev.Detail != nil:
		c.Gap = ev.Detail.Len
	case ev.Kind == decode.Record || ev.Kind == decode.Unframed:
		if c.Data = ev.Raw; len(c.Data) == 0 || ev.Flags&(decode.OnClientSide|decode.OnServerSide) == decode.OnServerSide {
			return
		}
	default:
		return
	}
	p.w.chunk(&c)
}

func (p *tunnelPicker) end() {}

// followWriter prints chunks as tshark's follow does.
type followWriter struct {
	out          *bufio.Writer
	as           string
	side         int // -1: both
	terminal     bool
	kind, filter string
	begun        bool
	line         []byte
	err          error
}

func (f *followFlags) writer(w io.Writer) (*followWriter, error) {
	o := &followWriter{out: bufio.NewWriterSize(w, 64<<10), as: f.as, side: -1}
	if file, ok := w.(*os.File); ok {
		info, err := file.Stat()
		o.terminal = err == nil && info.Mode()&os.ModeCharDevice != 0 && info.Mode()&os.ModeDevice != 0
	}
	switch f.side {
	case "both":
	case "0", "1":
		o.side = int(f.side[0] - '0')
	default:
		return nil, usage(fmt.Errorf("--side %s: there is 0, 1 and both", f.side))
	}
	switch {
	case f.as == "raw" && o.terminal:
		return nil, usage(errors.New("--as raw prints bytes as they came, which a terminal would obey: send them to a file or a program"))
	case f.as != "text" && f.as != "hex" && f.as != "raw":
		return nil, usage(fmt.Errorf("--as %s: there is text, hex and raw", f.as))
	}
	return o, nil
}

const followRule = "===================================================================\n"

// begin prints the heading, once.
func (w *followWriter) begin(node0, node1 string) {
	if w.begun {
		return
	}
	w.begun = true
	if w.as == "raw" {
		return
	}
	as := "ascii"
	if w.as == "hex" {
		as = "hex"
	}
	w.print(fmt.Appendf(nil, "\n%sFollow: %s,%s\nFilter: %s\nNode 0: %s\nNode 1: %s\n", followRule, w.kind, as, w.filter, safe(node0), safe(node1)))
}

func (w *followWriter) print(b []byte) {
	if w.err == nil {
		_, w.err = w.out.Write(b)
	}
}

// chunk prints what a side said, or that something is missing.
func (w *followWriter) chunk(c *flow.Chunk) {
	if w.side >= 0 && int(c.Side) != w.side {
		return
	}
	prefix := ""
	if c.Side == 1 {
		prefix = "\t"
	}
	data := c.Data
	if c.Gap > 0 {
		data = flow.AppendGap(nil, c.Gap)
	}
	b := w.line[:0]
	switch {
	case w.as == "raw":
		if c.Gap == 0 {
			b = append(b, data...)
		}
	case w.as == "hex" && c.Gap > 0:
		b = append(append(append(b, prefix...), data...), '\n')
	case w.as == "hex":
		b = flow.AppendFollowHex(b, prefix, c.Offset, data)
	default:
		b = append(strconv.AppendInt(append(b, prefix...), int64(len(data)), 10), '\n')
		b = append(flow.AppendFollowText(b, data, w.terminal), '\n')
	}
	w.line = b
	w.print(b)
}

func (w *followWriter) close() error {
	if w.begun && w.as != "raw" {
		w.print([]byte(followRule))
	}
	if err := w.out.Flush(); w.err == nil {
		w.err = err
	}
	return w.err
}
