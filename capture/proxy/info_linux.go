package proxy

import (
	"time"

	"golang.org/x/sys/unix"

	"tundump/decode"
)

// info measures the connection; nil if it is closed, or no TCP socket.
//
// Source: struct tcp_info in Linux's include/uapi/linux/tcp.h; tcpi_rtt is in
// microseconds.
func (s *side) info() *decode.Detail {
	if s.raw == nil {
		return nil
	}
	var info *unix.TCPInfo
	var err error
	if s.raw.Control(func(fd uintptr) {
		info, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
	}) != nil || err != nil {
		return nil
	}
	return &decode.Detail{
		RTT:     time.Duration(info.Rtt) * time.Microsecond,
		Retrans: info.Total_retrans,
		Unacked: info.Unacked,
	}
}
