package packet

import (
	"encoding/binary"
	"fmt"
	"time"
)

// ntpLen is the length of an NTP packet without authentication.
const ntpLen = 48

var ntpModes = [...]string{
	"reserved", "symmetric active", "symmetric passive", "client", "server", "broadcast",
	"reserved for NTP control message", "reserved for private use",
}

func confirmsNTP(b []byte) bool { return len(b) >= 12 && b[0]>>3&7 >= 1 && b[0]>>3&7 <= 4 }

func (f *Facts) appendNTP(dst []byte) []byte {
	dst = appendInt(append(dst, "NTP Version "...), int(f.Payload[0]>>3&7))
	return append(append(dst, ", "...), ntpModes[f.Payload[0]&7]...)
}

// ntp yields the header. Source: RFC 5905, section 7.3.
func (e *emitter) ntp() {
	flags := e.uint("ntp.flags", "Flags", 0, 1, 2)
	e.bits("ntp.flags.li", "Leap Indicator", 0, 1, flags>>6, KindUint)
	e.bits("ntp.flags.vn", "Version number", 0, 1, flags>>3&7, KindUint)
	e.bits("ntp.flags.mode", "Mode", 0, 1, flags&7, KindUint)
	if flags&7 >= 6 || len(e.b) < ntpLen {
		return
	}
	e.uint("ntp.stratum", "Peer Clock Stratum", 1, 1, 0)
	e.uint("ntp.ppoll", "Peer Polling Interval", 2, 1, 0)
	// It is signed, but tshark's field is not.
	e.word("ntp.precision", "Peer Clock Precision", 3, 1, 0, func(v int) string { return fmt.Sprintf("2^%d seconds", int8(v)) })
	e.raw("ntp.refid", "Reference ID", 12, 4, KindBytes)
	e.ntpTime("ntp.reftime", "Reference Timestamp", 16)
	e.ntpTime("ntp.org", "Origin Timestamp", 24)
	e.ntpTime("ntp.rec", "Receive Timestamp", 32)
	e.ntpTime("ntp.xmt", "Transmit Timestamp", 40)
}

// ntpTime reads a time stamp of 64 bits; zero is none. The era is the one that
// includes the present, RFC 5905 section 6: times before 1968 are of the next.
func (e *emitter) ntpTime(name, label string, off int) {
	sec, frac := binary.BigEndian.Uint32(e.b[off:]), binary.BigEndian.Uint32(e.b[off+4:])
	text := []byte("NULL")
	if sec != 0 || frac != 0 {
		const to1970 = 2208988800
		unix := int64(sec) - to1970
		if sec&0x80000000 == 0 {
			unix += 1 << 32
		}
		ns := int64(uint64(frac) * 1e9 >> 32)
		text = time.Unix(unix, ns).UTC().AppendFormat(nil, "Jan _2, 2006 15:04:05.000000000 UTC")
	}
	e.emit(Item{Name: name, Label: label, Kind: KindSafe, Raw: text}, off, 8)
}
