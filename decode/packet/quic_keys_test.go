package packet

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/hex"
	"testing"
)

// The keys of RFC 9001, appendix A.1, and RFC 9369, appendix A.1.
func TestQUICKeys(t *testing.T) {
	dcid := []byte{0x83, 0x94, 0xc8, 0xf0, 0x3e, 0x51, 0x57, 0x08}
	for _, tt := range []struct {
		version     uint32
		server      bool
		key, iv, hp string
	}{
		{quicVersion1, false, "1f369613dd76d5467730efcbe3b1a22d", "fa044b2f42a3fd3b46fb255c", "9f50449e04a0e810283a1e9933adedd2"},
		{quicVersion1, true, "cf3a5331653c364c88f0f379b6067e37", "0ac1493ca1905853b0bba03e", "c206b8d9b9f0f37644430b490eeaa314"},
		{quicVersion2, false, "8b1a0bc121284290a29e0971b5cd045d", "91f73e2351d8fa91660e909f", "45b95e15235d6f45a6b19cbcb0294ba9"},
	} {
		client, server, err := NewQUICKeys(tt.version, dcid)
		if err != nil {
			t.Fatal(err)
		}
		k := client
		if tt.server {
			k = server
		}
		if got := hex.EncodeToString(k.iv[:]); got != tt.iv {
			t.Errorf("version %x: iv %s, want %s", tt.version, got, tt.iv)
		}
		var got, want [16]byte
		k.header.Encrypt(got[:], want[:])
		block(t, tt.hp).Encrypt(want[:], want[:])
		if got != want {
			t.Errorf("version %x: another header protection key", tt.version)
		}
		aead, err := cipher.NewGCM(block(t, tt.key))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(aead.Seal(nil, k.iv[:], []byte("text"), nil), k.aead.Seal(nil, k.iv[:], []byte("text"), nil)) {
			t.Errorf("version %x: another key", tt.version)
		}
	}
}

func block(t *testing.T, key string) cipher.Block {
	t.Helper()
	b, err := hex.DecodeString(key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := aes.NewCipher(b)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// RFC 9000, appendix A.3.
func TestPacketNumber(t *testing.T) {
	if got := wholeNumber(0x9b32, 2, 0xa82f30ea); got != 0xa82f9b32 {
		t.Errorf("%x", got)
	}
	if got := wholeNumber(0, 1, -1); got != 0 {
		t.Errorf("%x", got)
	}
	if got := wholeNumber(0xff, 1, 0x100); got != 0xff {
		t.Errorf("%x", got)
	}
}
