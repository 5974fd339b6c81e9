package packet

import (
	"bytes"
	"encoding/binary"
)

// confirmsSSH takes whatever is on the port for it, as tshark does.
func confirmsSSH(b []byte) bool { return len(b) > 0 }

var sshMessages = map[byte]string{
	20: "Key Exchange Init", 21: "New Keys", 30: "Diffie-Hellman Key Exchange Init", 31: "Diffie-Hellman Key Exchange Reply",
	32: "Diffie-Hellman Group Exchange Init", 33: "Diffie-Hellman Group Exchange Reply", 34: "Diffie-Hellman Group Exchange Request",
}

// appendSSH tells the banner and what is sent before encryption begins from
// what is encrypted, by the segment alone. Source: RFC 4253, sections 4 and 6.
func (f *Facts) appendSSH(dst []byte) []byte {
	b := f.Payload
	if f.DstPort < f.SrcPort {
		dst = append(dst, "Client: "...)
	} else {
		dst = append(dst, "Server: "...)
	}
	if bytes.HasPrefix(b, []byte("SSH-")) {
		line := b
		if i := bytes.IndexAny(b, "\r\n"); i >= 0 {
			line = b[:i]
		}
		dst = AppendSafe(append(dst, "Protocol ("...), line[:min(len(line), 255)])
		return append(dst, ')')
	}
	if len(b) >= 6 {
		if n := binary.BigEndian.Uint32(b); int64(n)+4 == int64(len(b)) {
			if name := sshMessages[b[5]]; name != "" {
				return append(dst, name...)
			}
		}
	}
	dst = appendInt(append(dst, "Encrypted packet (len="...), len(b))
	return append(dst, ')')
}

func (f *Facts) sshColumn() string {
	if bytes.HasPrefix(f.Payload, []byte("SSH-1.")) && !bytes.HasPrefix(f.Payload, []byte("SSH-1.99")) {
		return "SSHv1"
	}
	return "SSHv2"
}
