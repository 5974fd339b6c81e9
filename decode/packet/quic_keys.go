package packet

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
)

// QUICKeys open one direction's Initial packets. They are no secret: whoever
// sees a client's first packet can make them.
//
// Source: RFC 9001, section 5; RFC 9369, section 3.3.
type QUICKeys struct {
	aead   cipher.AEAD
	header cipher.Block
	iv     [12]byte
}

// quicSalt returns the published salt of a version.
func quicSalt(version uint32) string {
	switch version {
	case quicVersion2:
		return "0dede3def700a6db819381be6e269dcbf9bd2ed9"
	case quicVersion2Draft:
		return "a707c203a59b47184a1d62ca570406ea7ae3e5d3"
	case quicQ050:
		return "504574efd066fe2f9d945cfcdbd3a7f0d3b56b45"
	case quicT050:
		return "7ff579e5acd072915580304c43a2367c60488310"
	case quicT051:
		return "7a4edef4e7ccee5fa4506c19124fc8ccda6e033d"
	}
	switch d := quicDraft(version); {
	case d >= 33:
		return "38762cf7f55934b34d179ae6a4c80cadccbb7f0a"
	case d >= 29:
		return "afbfec289993d24c9e9786f19c6111e04390a899"
	case d >= 23:
		return "c3eef712c72ebb5a11a7d2432bb46365bef9f502"
	}
	return "7fbcdb0e7c66bbe9193a96cd21519ebd7a02644a"
}

// NewQUICKeys returns the keys of both directions for the identifier that a
// client chose for the server in its first packet, or that a Retry gave it.
func NewQUICKeys(version uint32, dcid []byte) (client, server *QUICKeys, err error) {
	salt, err := hex.DecodeString(quicSalt(version))
	if err != nil {
		return nil, nil, err
	}
	secret, err := hkdf.Extract(sha256.New, dcid, salt)
	if err != nil {
		return nil, nil, err
	}
	if client, err = newQUICKeys(version, secret, "client in"); err != nil {
		return nil, nil, err
	}
	server, err = newQUICKeys(version, secret, "server in")
	return client, server, err
}

func newQUICKeys(version uint32, initial []byte, label string) (*QUICKeys, error) {
	secret, err := expandLabel(initial, label, sha256.Size)
	if err != nil {
		return nil, err
	}
	prefix := "quic "
	if version == quicVersion2 || version == quicVersion2Draft {
		prefix = "quicv2 "
	}
	var parts [3][]byte
	for i, p := range [...]struct {
		name string
		size int
	}{{"key", 16}, {"iv", 12}, {"hp", 16}} {
		if parts[i], err = expandLabel(secret, prefix+p.name, p.size); err != nil {
			return nil, err
		}
	}
	block, err := aes.NewCipher(parts[0])
	if err != nil {
		return nil, err
	}
	k := &QUICKeys{iv: [12]byte(parts[1])}
	if k.aead, err = cipher.NewGCM(block); err != nil {
		return nil, err
	}
	k.header, err = aes.NewCipher(parts[2])
	return k, err
}

// expandLabel is HKDF-Expand-Label with an empty context, RFC 8446 section
// 7.1.
func expandLabel(secret []byte, label string, size int) ([]byte, error) {
	label = "tls13 " + label
	info := make([]byte, 0, 64)
	info = append(info, byte(size>>8), byte(size), byte(len(label)))
	info = append(append(info, label...), 0)
	return hkdf.Expand(sha256.New, secret, string(info), size)
}

// Open takes the protection off the packet that b begins with, whose header is
// h, and appends to dst its header and its frames in the clear. largest is the
// largest packet number seen before in this direction, -1 if there was none.
//
// number is the packet's, which only needs the beginning of the packet;
// numbered is false if not even that is there. clear is nil if the packet is
// cut, or is protected by other keys. It aliases the returned dst, and b is
// not changed.
//
// Source: RFC 9001, sections 5.3 and 5.4; RFC 9000, appendix A.3.
func (k *QUICKeys) Open(dst, b []byte, h *QUICHeader, largest int64) (_ []byte, number uint64, numbered bool, clear []byte) {
	const sample = 16
	at := h.Protected
	if at == 0 || h.Size < at+4+sample {
		return dst, 0, false, nil
	}
	var mask [sample]byte
	k.header.Encrypt(mask[:], b[at+4:at+4+sample])
	start := len(dst)
	dst = append(dst, b[:at+4]...)
	head := dst[start:]
	head[0] ^= mask[0] & 0x0f
	n := int(head[0]&3) + 1
	var short uint64
	for i := range n {
		head[at+i] ^= mask[1+i]
		short = short<<8 | uint64(head[at+i])
	}
	head = head[: at+n : at+n]
	dst = dst[:start+at+n]
	number = wholeNumber(short, n, largest)
	if uint64(h.Size-at) < h.Length {
		return dst, number, true, nil
	}
	nonce := k.iv
	for i := range 8 {
		nonce[4+i] ^= byte(number >> (56 - 8*i))
	}
	out, err := k.aead.Open(dst, nonce[:], b[at+n:h.Size], head)
	if err != nil { // other keys: nothing that has to be reported
		return dst, number, true, nil
	}
	return out, number, true, out[len(dst):]
}

// wholeNumber completes a packet number of which n bytes were sent.
func wholeNumber(short uint64, n int, largest int64) uint64 {
	window := uint64(1) << (8 * n)
	expected := uint64(largest + 1)
	number := expected&^(window-1) | short
	switch {
	case number+window/2 <= expected && number < 1<<62-window:
		return number + window
	case number > expected+window/2 && number >= window:
		return number - window
	}
	return number
}
