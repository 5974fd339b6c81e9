package flow

import (
	"bytes"
	"strconv"
)

// AppendFollowText appends b as tshark's follow in ASCII prints it: bytes that
// are neither printable ASCII nor the end of a line become dots. For a terminal,
// carriage returns are left out, so that nothing is written over.
func AppendFollowText(dst, b []byte, terminal bool) []byte {
	for _, c := range b {
		switch {
		case c == '\r' && terminal:
		case c == '\n' || c == '\r':
			dst = append(dst, c)
		default:
			dst = append(dst, printable(c))
		}
	}
	return dst
}

func printable(c byte) byte {
	if c < ' ' || c > '~' {
		return '.'
	}
	return c
}

// AppendFollowHex appends b, which begins at offset in its stream, as tshark's
// hex dump prints it: 16 bytes a line behind the prefix.
func AppendFollowHex(dst []byte, prefix string, offset int64, b []byte) []byte {
	const digits = "0123456789abcdef"
	for len(b) > 0 {
		line := b[:min(len(b), 16)]
		dst = appendOffset(append(dst, prefix...), offset)
		for i := range 16 {
			if i == 8 {
				dst = append(dst, ' ')
			}
			if i < len(line) {
				dst = append(dst, ' ', digits[line[i]>>4], digits[line[i]&15])
			} else {
				dst = append(dst, "   "...)
			}
		}
		dst = append(dst, ' ', ' ')
		for i, c := range line {
			if i == 8 {
				dst = append(dst, ' ')
			}
			dst = append(dst, printable(c))
		}
		dst = append(bytes.TrimSuffix(dst, []byte(" ")), '\n') // as tshark has it
		b, offset = b[len(line):], offset+int64(len(line))
	}
	return dst
}

// appendOffset appends an offset with at least eight digits, and a space.
func appendOffset(dst []byte, offset int64) []byte {
	const upper = "0123456789ABCDEF"
	width := 8
	for offset>>(4*width) != 0 {
		width++
	}
	for i := width - 1; i >= 0; i-- {
		dst = append(dst, upper[offset>>(4*i)&15])
	}
	return append(dst, ' ')
}

// AppendGap appends the mark of bytes that were not captured, in Wireshark's
// words.
func AppendGap(dst []byte, n int64) []byte {
	return append(strconv.AppendInt(append(dst, '['), n, 10), " bytes missing in capture file]"...)
}
