package pcapng

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
)

// ErrFormat is what [Reader.Next] returns, wrapped, for input that does not begin like
// any capture file.
var ErrFormat = errors.New("not a pcapng or pcap file")

// Block is one block of a file.
type Block struct {
	Type   uint32
	Offset int64  // of its first byte in the file
	Raw    []byte // all of it; valid until the next call of Next

	section *Section
}

// Section returns the section that the block is in. The reader goes on
// changing it: copy it to keep it.
func (b *Block) Section() *Section { return b.section }

// IsPacket reports whether the block is of a type that holds a packet.
func (b *Block) IsPacket() bool { return isPacket(b.Type) }

// Packet reads the packet in the block, as [Section.Packet] does.
func (b *Block) Packet(p *Packet) error { return b.section.Packet(b.Raw, p) }

// Reader takes blocks off a stream. Whatever lengths the stream claims, it
// holds no more memory than twice what has arrived of one block.
type Reader struct {
	r       io.Reader
	before  func(held []byte, offset int64) error
	buf     []byte
	next    int   // buf[next:] is not handed out yet
	offset  int64 // of buf[next] in the file
	empty   int   // reads in a row that brought nothing
	eof     bool
	err     error
	section Section
	started bool
}

const readSize = 256 << 10

// NewReader returns a reader over r, which it reads ahead of. Give it no
// buffered reader: it buffers by itself.
func NewReader(r io.Reader) *Reader { return &Reader{r: r} }

// BeforeRead has f be called before each read of the stream: with the bytes of
// the blocks that were handed out since the last read, and maybe of some before
// them, and where in the file they begin. They are valid until f returns; an
// error of f's is Next's.
func (r *Reader) BeforeRead(f func(held []byte, offset int64) error) { r.before = f }

// Offset is the end of the last block that Next handed out: the length up to
// which the file is sound.
func (r *Reader) Offset() int64 { return r.offset }

// Next reads the next block into b. At the end of the last whole block the
// error is io.EOF; a [*DamageError] says that the file ends inside a block or
// goes on with something else; [ErrFormat] comes at the beginning only; other
// errors are those of the underlying reader. After an error there are no more
// blocks.
func (r *Reader) Next(b *Block) error {
	if r.err == nil {
		r.err = r.read(b)
	}
	return r.err
}

func (r *Reader) read(b *Block) error {
	head, err := r.peek(minHeader)
	switch {
	case err != nil:
		return err
	case len(head) == 0:
		if !r.started {
			return fmt.Errorf("nothing is in it: %w", ErrFormat)
		}
		return io.EOF
	}
	if !r.started {
		if err := r.start(head); err != nil {
			return err
		}
		if r.section.Classic {
			return r.classicHeader(b)
		}
	}
	if isSection := len(head) >= 4 && le.Uint32(head) == SectionHeader && !r.section.Classic; isSection {
		return r.sectionHeader(b, head)
	}
	if len(head) < r.section.header() {
		return r.damage(true, "")
	}
	typ, n, reason := r.section.measure(head)
	if reason != "" {
		return r.damage(false, reason)
	}
	if err := r.take(b, n); err != nil {
		return err
	}
	b.Type = typ
	if typ == InterfaceDescription {
		if reason := r.section.addInterface(b.Raw); reason != "" {
			return r.damageAt(b.Offset, reason)
		}
	}
	return nil
}

// minHeader is enough of any block or record to measure it.
const minHeader = 16

// start tells the file's format by its first bytes.
func (r *Reader) start(head []byte) error {
	if len(head) < 4 {
		return ErrFormat
	}
	switch le.Uint32(head) {
	case SectionHeader:
	case magicMicro, magicNano:
		r.section.Classic = true
	case bits.ReverseBytes32(magicMicro), bits.ReverseBytes32(magicNano):
		r.section.Classic, r.section.BigEndian = true, true
	default:
		return ErrFormat
	}
	r.started = true
	return nil
}

const (
	magicMicro = 0xa1b2c3d4
	magicNano  = 0xa1b23c4d

	classicFileHeader = 24
)

func (r *Reader) classicHeader(b *Block) error {
	if err := r.take(b, classicFileHeader); err != nil {
		return err
	}
	b.Type = ClassicHeader
	s := &r.section
	if major := s.u16(b.Raw[4:]); major != 2 {
		return r.damageAt(0, fmt.Sprintf("version %d.%d is not known", major, s.u16(b.Raw[6:])))
	}
	i := Interface{LinkType: uint16(s.u32(b.Raw[20:])), SnapLen: s.u32(b.Raw[16:]), Resolution: 6}
	if s.u32(b.Raw) == magicNano {
		i.Resolution = nanoseconds
	}
	s.Interfaces = []Interface{i}
	return nil
}

// sectionHeader reads a section header block, whose byte order is its own.
func (r *Reader) sectionHeader(b *Block, head []byte) error {
	if len(head) < minBlock {
		return r.damage(true, "")
	}
	var s Section
	switch le.Uint32(head[8:]) {
	case byteOrder:
	case bits.ReverseBytes32(byteOrder):
		s.BigEndian = true
	default:
		return r.damage(false, fmt.Sprintf("no byte order is marked %#x", binary.BigEndian.Uint32(head[8:])))
	}
	_, n, reason := s.measure(head)
	if reason != "" {
		return r.damage(false, reason)
	}
	r.section = s
	if err := r.take(b, n); err != nil {
		return err
	}
	b.Type = SectionHeader
	if r.section, reason = openSection(b.Raw, b.Offset); reason != "" {
		return r.damageAt(b.Offset, reason)
	}
	return nil
}

// take hands out the next n bytes as a block.
func (r *Reader) take(b *Block, n int) error {
	raw, err := r.peek(n)
	if err != nil {
		return err
	}
	if len(raw) < n {
		return r.damage(true, "")
	}
	raw = raw[:n:n]
	if !r.section.Classic {
		if tail := int(r.section.u32(raw[n-4:])); tail != n {
			return r.damage(false, fmt.Sprintf("block length is %d at its start and %d at its end", n, tail))
		}
	}
	*b = Block{Offset: r.offset, Raw: raw, section: &r.section}
	r.next += n
	r.offset += int64(n)
	return nil
}

func (r *Reader) damage(cut bool, reason string) error {
	return &DamageError{Offset: r.offset, Cut: cut, Reason: reason}
}

// damageAt is damage inside a block that was already taken.
func (r *Reader) damageAt(offset int64, reason string) error {
	r.offset = offset
	return r.damage(false, reason)
}

// peek returns what is buffered, and at least n bytes of it unless the stream
// ends before.
func (r *Reader) peek(n int) ([]byte, error) {
	for len(r.buf)-r.next < n && !r.eof {
		if err := r.fill(); err != nil {
			return nil, err
		}
	}
	return r.buf[r.next:], nil
}

// fill reads once. The buffer grows by what has arrived, not by what a block
// claims.
func (r *Reader) fill() error {
	if r.before != nil {
		if err := r.before(r.buf[:r.next], r.offset-int64(r.next)); err != nil {
			return err
		}
	}
	if r.next > 0 && len(r.buf) == cap(r.buf) {
		r.buf = r.buf[:copy(r.buf, r.buf[r.next:])]
		r.next = 0
	}
	if len(r.buf) == cap(r.buf) {
		r.buf = append(make([]byte, 0, max(readSize, 2*cap(r.buf))), r.buf...)
	}
	n, err := r.r.Read(r.buf[len(r.buf):cap(r.buf)])
	if n < 0 || n > cap(r.buf)-len(r.buf) {
		return errors.New("pcapng: the underlying reader returned an impossible count")
	}
	r.buf = r.buf[:len(r.buf)+n]
	switch {
	case err == io.EOF:
		r.eof = true
		return nil
	case n > 0 || err != nil:
		r.empty = 0
		return err
	}
	if r.empty++; r.empty > 100 {
		return io.ErrNoProgress
	}
	return nil
}
