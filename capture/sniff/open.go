package sniff

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"
	"sync/atomic"

	"tundump/capture/pcapng"
	"tundump/capture/record"
	"tundump/capture/store"
	"tundump/decode"
	"tundump/decode/stream"
)

// Capture is the rows of a capture, whoever wrote it.
type Capture struct {
	store    *store.Store
	src      *source          // nil for tundump's own
	recorder *record.Recorder // likewise
	opt      Options
	size     int64 // of tundump's own

	stop atomic.Bool
	done sync.WaitGroup // the goroutine that reads

	mu       sync.Mutex
	stats    stream.Stats
	warnings []string
	err      error
}

// Open opens a capture: tundump's own, or pcap or pcapng of any of the link
// types that package stream knows, also compressed by gzip or zstd. "-" is
// standard input. It returns as soon as there is a row, or at the end; for
// what is no regular file as soon as its first bytes say what it is. One
// goroutine reads, which ends with the
// capture or at Close; Close does not wait for a read that nothing ends. With
// Options.InOrder it may be that of who waits for rows.
//
// A capture of link type RAW in which there is no tunnel is one of bare
// packets and becomes that, at its end if it is a pipe. Any other without a
// tunnel is a [*NoTunnelError], from here or from [Capture.Err].
func Open(path string, o Options) (*Capture, error) {
	src, err := openSource(path)
	if err != nil {
		return nil, err
	}
	r, err := src.reader()
	if err != nil {
		return nil, errors.Join(err, src.Close())
	}
	own, r, err := openOwn(path, src, r, o)
	if own != nil || err != nil {
		return own, err
	}
	return openForeign(src, r, o)
}

// openOwn opens a capture of tundump's. It returns nil, and a reader that
// begins at the beginning, for any other.
func openOwn(path string, src *source, r io.Reader, o Options) (*Capture, io.Reader, error) {
	if src.regular && !src.packed {
		open := store.Open
		if o.InOrder {
			open = store.OpenInOrder
		}
		st, err := open(path)
		switch {
		case err == nil && (st.Len() > 0 || emptyOwn(r)):
			return &Capture{store: st, size: src.size}, nil, src.Close()
		case err == nil:
			err = st.Close()
		}
		if err != nil && !errors.Is(err, store.ErrForeign) {
			return nil, nil, errors.Join(err, src.Close())
		}
		r, err = src.again()
		if err != nil {
			err = errors.Join(err, src.Close())
		}
		return nil, r, err
	}
	ours, r := owned(r)
	if !ours {
		return nil, r, nil
	}
	st, err := store.OpenReader(closing{r, src}, src.name)
	if err != nil {
		return nil, nil, errors.Join(err, src.Close())
	}
	return &Capture{store: st}, nil, nil
}

// emptyOwn reports whether a capture without a row is tundump's own.
func emptyOwn(r io.Reader) bool {
	ours, _ := owned(r)
	return ours
}

// closing is a reader over a source that closes it.
type closing struct {
	io.Reader
	io.Closer
}

func openForeign(src *source, r io.Reader, o Options) (*Capture, error) {
	if !src.regular && !o.Bare {
		var err error
		if r, err = src.spooled(r); err != nil {
			return nil, errors.Join(err, src.Close())
		}
	}
	rec, err := record.New(record.Options{Keep: math.MaxInt64, NoInner: true})
	if err != nil {
		return nil, errors.Join(err, src.Close())
	}
	c := &Capture{store: rec.Store(), src: src, recorder: rec, opt: o}
	c.done.Add(1)
	go func() {
		defer c.done.Done()
		c.run(r)
	}()
	if !src.regular {
		return c, nil
	}
	if _, err := c.store.Wait(context.Background(), 0); err != nil {
		c.done.Wait()
		if err := c.Err(); err != nil {
			return nil, errors.Join(err, c.store.Close())
		}
	}
	return c, nil
}

// Store returns the rows. Close closes it.
func (c *Capture) Store() *store.Store { return c.store }

// Foreign reports whether others wrote the capture.
func (c *Capture) Foreign() bool { return c.src != nil }

// Progress reports how many bytes of the file have been read, and how many it has;
// both are 0 for what is no regular file.
func (c *Capture) Progress() (done, all int64) {
	if c.src == nil {
		return c.store.Indexed(), c.size
	}
	return c.src.progress()
}

// Stats returns what was counted in a foreign capture, once its rows are
// complete.
func (c *Capture) Stats() stream.Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stats
}

// Warnings returns what a user should know about the capture, a line each.
// They are complete when the rows are.
func (c *Capture) Warnings() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append(c.store.Warnings(), c.warnings...)
}

// Err reports, when the rows are complete, why they ended before the capture
// did, or that it has no tunnel.
func (c *Capture) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return errors.Join(c.store.Err(), c.err)
}

// Close ends the reading and closes everything. Rows cannot be read after it.
func (c *Capture) Close() error {
	c.stop.Store(true)
	if c.src == nil || c.src.regular {
		c.done.Wait()
	} else {
		_ = c.src.file.Close() // ends a read of a pipe; its error says nothing that matters
	}
	return c.store.Close()
}

// run is the goroutine that reads. It ends the recording, so that the rows are
// complete when all is known about them.
func (c *Capture) run(r io.Reader) {
	stats, err := c.pass(r, c.opt.Bare)
	if err == nil && !c.opt.Bare && len(c.opt.Ports) == 0 && bareOnly(&stats) && !c.stop.Load() {
		c.mu.Lock()
		c.warnings = nil // they come again
		c.mu.Unlock()
		if r, err = c.src.again(); err == nil {
			stats, err = c.pass(r, true)
		}
	}
	if err == nil && stats.Tunnels == 0 && stats.Bare == 0 && !c.stop.Load() {
		err = c.nothing(stats)
	}
	c.mu.Lock()
	c.stats, c.err = stats, err
	c.note(&stats)
	c.mu.Unlock()
	if err := errors.Join(c.recorder.Close(), c.src.Close()); err != nil && !c.stop.Load() {
		c.mu.Lock()
		c.err = errors.Join(c.err, err)
		c.mu.Unlock()
	}
}

// nothing says why there are no rows.
func (c *Capture) nothing(s stream.Stats) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.Packets == 0 && len(c.warnings) > 0 {
		return errors.New(c.warnings[0])
	}
	return &NoTunnelError{Name: c.src.name, Ports: c.opt.Ports, Stats: s}
}

// bareOnly reports whether a capture without a tunnel is one of bare packets.
func bareOnly(s *stream.Stats) bool {
	for _, l := range s.Links {
		if !stream.IsRaw(l) {
			return false
		}
	}
	return s.Tunnels == 0 && s.IP > 0
}

// note makes warnings of what the user should know.
func (c *Capture) note(s *stream.Stats) {
	warn := func(n int64, what string) {
		if n > 0 {
			c.warnings = append(c.warnings, fmt.Sprintf("%s: %d %s", c.src.name, n, what))
		}
	}
	warn(s.Unknown, "packets are of a link type that is not known and are left out")
	warn(s.Conflicts, "TCP segments came again with other bytes; the first copy is shown")
	warn(s.Evicted, "tunnels were given up because there were too many at a time")
}

// pass reads the capture once. A file that is cut or damaged is read up to
// there.
func (c *Capture) pass(r io.Reader, bare bool) (stream.Stats, error) {
	out := feed{tap: c.recorder}
	f := stream.New(stream.Options{Ports: c.opt.Ports, Bare: bare}, out.add)
	err := c.packets(flushing{r, &out}, f.Packet)
	f.End()
	out.flush()
	var damage *pcapng.DamageError
	switch {
	case err == io.EOF:
		err = nil
	case errors.As(err, &damage) && damage.Cut, errors.Is(err, io.ErrUnexpectedEOF):
		c.warn("the file ends inside a block: it was cut, or is still being written; everything before is here")
		err = nil
	case errors.As(err, &damage):
		c.warn(fmt.Sprintf("the file is damaged at offset %d (%s); everything before is here", damage.Offset, damage.Reason))
		err = nil
	case err != nil:
		err = fmt.Errorf("%s: %w", c.src.name, err)
	}
	return f.Stats(), err
}

// flushing shows what was found before it reads on, which may take as long as
// the one who captures likes.
type flushing struct {
	io.Reader
	out *feed
}

func (f flushing) Read(b []byte) (int, error) {
	f.out.flush()
	return f.Reader.Read(b)
}

func (c *Capture) warn(what string) {
	c.mu.Lock()
	c.warnings = append(c.warnings, c.src.name+": "+what)
	c.mu.Unlock()
}

// packets hands each packet of a capture file to use, until Close.
func (c *Capture) packets(r io.Reader, use func(*stream.Packet)) error {
	ng := pcapng.NewReader(r)
	var b pcapng.Block
	var p pcapng.Packet
	var out stream.Packet
	for !c.stop.Load() {
		if err := ng.Next(&b); err != nil {
			return err
		}
		if !b.IsPacket() || b.Packet(&p) != nil {
			continue
		}
		out = stream.Packet{LinkType: b.Section().Interfaces[p.Interface].LinkType, Time: p.Time, Data: p.Data}
		out.Dir, out.HasDir = bareDirection(&p)
		use(&out)
	}
	return nil
}

// bareDirection is the way that a packet went: what tundump wrote says it in
// its comment, others in the block's flags.
func bareDirection(p *pcapng.Packet) (decode.Direction, bool) {
	var tag pcapng.Tag
	if len(p.Comments) > 0 && pcapng.ParseTag(p.Comments[0], &tag) {
		return tag.Dir, true
	}
	switch p.Flags & pcapng.Direction {
	case pcapng.Inbound:
		return direction(false), true
	case pcapng.Outbound:
		return direction(true), true
	}
	return 0, false
}
