package sniff

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"tundump/capture"
	"tundump/decode/stream"
)

const (
	// socketBuffer is what the kernel may hold until we read.
	socketBuffer = 32 << 20
	// maxPacket is the largest packet that receive offload puts together, with
	// room to spare.
	maxPacket = 512 << 10
	linkRaw   = 101
)

// Live captures on an interface. It reads packets without their link header,
// so that every kind of interface is alike, loopback and TUN among them.
type Live struct {
	file     *os.File
	opt      Options
	loopback int // index of an interface that shows every packet twice, or 0

	received, dropped atomic.Uint64
}

// Listen begins to capture on the interface of that name, [Any] for all. It
// needs CAP_NET_RAW, and CAP_NET_ADMIN to see what other machines send to each
// other.
func Listen(name string, o Options) (*Live, error) {
	index := 0
	l := &Live{opt: o}
	if name != Any {
		iface, err := net.InterfaceByName(name)
		if err != nil {
			return nil, cannotListen(name, fmt.Errorf("%w; ip link lists the interfaces", err))
		}
		index = iface.Index
	}
	if lo, err := net.InterfaceByName("lo"); err == nil {
		l.loopback = lo.Index
	}
	// Protocol 0 receives nothing until the filter is in place.
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		if errors.Is(err, unix.EPERM) {
			err = fmt.Errorf("%w; run it as root, or give the program CAP_NET_RAW", err)
		}
		return nil, cannotListen(name, err)
	}
	if err := configure(fd, index, o); err != nil {
		return nil, errors.Join(cannotListen(name, err), unix.Close(fd))
	}
	l.file = os.NewFile(uintptr(fd), "packets of "+name)
	return l, nil
}

func configure(fd, index int, o Options) error {
	filter, err := bpf.Assemble(program(o))
	if err != nil {
		return err
	}
	code := make([]unix.SockFilter, len(filter))
	for i, f := range filter {
		code[i] = unix.SockFilter{Code: f.Op, Jt: f.Jt, Jf: f.Jf, K: f.K}
	}
	prog := unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}
	if err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &prog); err != nil {
		return fmt.Errorf("the kernel refuses the filter: %w", err)
	}
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, socketBuffer) != nil {
		// Without CAP_NET_ADMIN there is as much as the system allows.
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, socketBuffer); err != nil {
			return err
		}
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1); err != nil {
		return err
	}
	if index != 0 {
		// Without CAP_NET_ADMIN only what is this machine's own is seen.
		_ = unix.SetsockoptPacketMreq(fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP,
			&unix.PacketMreq{Ifindex: int32(index), Type: unix.PACKET_MR_PROMISC})
	}
	return unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: bigEndian(unix.ETH_P_ALL), Ifindex: index})
}

// bigEndian is htons.
func bigEndian(n uint16) uint16 {
	var b [2]byte
	binary.BigEndian.PutUint16(b[:], n)
	return binary.NativeEndian.Uint16(b[:])
}

// Run offers the events of the tunnels that it sees to tap, until ctx is done,
// which is no error. It is called once.
func (l *Live) Run(ctx context.Context, tap capture.Tap) error {
	out := feed{tap: tap}
	f := stream.New(stream.Options{Ports: l.opt.Ports, Bare: l.opt.Bare}, out.add)
	defer func() {
		f.End()
		out.flush()
	}()
	conn, err := l.file.SyscallConn()
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = l.file.SetReadDeadline(time.Unix(1, 0)) }) // it can fail only if it is closed
	defer stop()
	r := receiver{buf: make([]byte, maxPacket), oob: make([]byte, 256)}
	for ctx.Err() == nil {
		var failed error
		err := conn.Read(func(fd uintptr) bool {
			var n int
			n, failed = l.receive(int(fd), &r, f)
			out.flush()
			return failed != nil || n > 0
		})
		l.count(conn.Control)
		switch {
		case ctx.Err() != nil:
			return nil
		case failed != nil:
			return fmt.Errorf("sniff: capturing failed: %w", failed)
		case err != nil:
			return fmt.Errorf("sniff: capturing failed: %w", err)
		}
	}
	return nil
}

// receiver is what one packet is received into.
type receiver struct {
	buf, oob []byte
	packet   stream.Packet
}

// receive takes the packets that are there, up to a number, and returns how
// many that were.
func (l *Live) receive(fd int, r *receiver, f *stream.Finder) (int, error) {
	const most = 256
	for n := range most {
		size, control, _, from, err := unix.Recvmsg(fd, r.buf, r.oob, unix.MSG_DONTWAIT)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return n, nil
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.ENETDOWN): // the interface may come back
			continue
		case err != nil:
			return n, err
		}
		ll, ok := from.(*unix.SockaddrLinklayer)
		if !ok || ll.Ifindex == l.loopback && ll.Pkttype == unix.PACKET_OUTGOING {
			continue
		}
		outgoing := ll.Pkttype == unix.PACKET_OUTGOING
		r.packet = stream.Packet{LinkType: linkRaw, Time: stamp(r.oob[:control]), Data: r.buf[:size], Dir: direction(outgoing), HasDir: true}
		f.Packet(&r.packet)
	}
	return most, nil
}

// stamp reads the time at which the kernel received a packet.
func stamp(oob []byte) int64 {
	for len(oob) > 0 {
		h, data, rest, err := unix.ParseOneSocketControlMessage(oob)
		if err != nil {
			break
		}
		if h.Level == unix.SOL_SOCKET && h.Type == unix.SO_TIMESTAMPNS && len(data) >= int(unsafe.Sizeof(unix.Timespec{})) {
			return (*unix.Timespec)(unsafe.Pointer(&data[0])).Nano()
		}
		oob = rest
	}
	return time.Now().UnixNano()
}

// count adds up the kernel's counters, which begin again when they are read.
func (l *Live) count(control func(func(uintptr)) error) {
	var st *unix.TpacketStats
	var err error
	if control(func(fd uintptr) {
		st, err = unix.GetsockoptTpacketStats(int(fd), unix.SOL_PACKET, unix.PACKET_STATISTICS)
	}) == nil && err == nil {
		l.received.Add(uint64(st.Packets))
		l.dropped.Add(uint64(st.Drops))
	}
}

// Stats returns the counts so far.
func (l *Live) Stats() LiveStats {
	return LiveStats{Received: l.received.Load(), Dropped: l.dropped.Load()}
}

// Close ends the capturing.
func (l *Live) Close() error { return l.file.Close() }
