package packet

import "bytes"

// HTTPChunks follows a chunked body: only its lengths, so that nothing of it
// has to be kept.
//
// Source: RFC 9112, section 7.1.
type HTTPChunks struct {
	state chunkState
	left  int64 // of the chunk
	line  int   // bytes of the line so far
}

type chunkState uint8

const (
	chunkSize chunkState = iota
	chunkExtension
	chunkData
	chunkEnd // the line end behind the data
	chunkTrailer
	chunksDone
	chunksBad
)

// maxChunkLine bounds a line with a chunk's size, and a line of the trailer.
const maxChunkLine = 8192

// Take takes the bytes that follow and returns how many of them belong to the
// body; done is true once it has ended. ok is false if it is not chunked.
func (c *HTTPChunks) Take(b []byte) (n int, done, ok bool) {
	for n < len(b) {
		if c.state == chunkData {
			step := min(c.left, int64(len(b)-n))
			c.left -= step
			n += int(step)
			if c.left == 0 {
				c.state, c.line = chunkEnd, 0
			}
			continue
		}
		c.take(b[n])
		n++
		switch c.state {
		case chunksDone:
			*c = HTTPChunks{}
			return n, true, true
		case chunksBad:
			return n, false, false
		}
	}
	return n, false, true
}

// Skip says that n bytes of the body were not captured; ok is false if it is
// not known where the body goes on.
func (c *HTTPChunks) Skip(n int64) (ok bool) {
	if c.state != chunkData || n >= c.left {
		return false
	}
	c.left -= n
	return true
}

// take takes a byte that is not data.
func (c *HTTPChunks) take(b byte) {
	if c.line++; c.line > maxChunkLine {
		c.state = chunksBad
		return
	}
	switch c.state {
	case chunkSize, chunkExtension:
		c.takeSize(b)
	case chunkEnd:
		switch {
		case b == '\n':
			c.state, c.line = chunkSize, 0
		case b != '\r':
			c.state = chunksBad
		}
	case chunkTrailer:
		if b == '\n' {
			if c.line == 1 || c.line == 2 && c.left == 1 {
				c.state = chunksDone
			}
			c.line, c.left = 0, 0
		} else if b == '\r' && c.line == 1 {
			c.left = 1 // the line may be empty
		}
	}
}

func (c *HTTPChunks) takeSize(b byte) {
	digit := int64(-1)
	switch {
	case '0' <= b && b <= '9':
		digit = int64(b - '0')
	case 'a' <= b|0x20 && b|0x20 <= 'f':
		digit = int64(b|0x20-'a') + 10
	}
	switch {
	case b == '\n' && (c.line > 2 || c.line == 2 && c.left >= 0):
		c.line = 0
		c.state = chunkData
		if c.left == 0 {
			c.state = chunkTrailer
		}
	case c.state == chunkExtension:
	case digit >= 0 && c.left < 1<<56:
		c.left = c.left<<4 | digit
	case c.line > 1 && (b == ';' || b == ' ' || b == '\t' || b == '\r'):
		c.state = chunkExtension
	default:
		c.state = chunksBad
	}
}

// httpPDUs appends the messages that begin in b, which is a segment looked at
// alone.
func httpPDUs(dst []PDU, b []byte) []PDU {
	for len(b) > 0 {
		m, ok := HTTPHead(b)
		if !ok && m.Line == nil {
			return append(dst, PDU{App: AppHTTP, Kind: Continuation, Len: int64(len(b)), Data: b})
		}
		if !ok {
			return append(dst, PDU{App: AppHTTP, Kind: CutPDU, Len: int64(len(b)), Data: b})
		}
		n := int64(m.Len)
		kind := WholePDU
		switch body, size := m.Body(false); body {
		case SizedBody:
			n += size
		case UntilClose:
			n = int64(len(b))
		case ChunkedBody:
			var c HTTPChunks
			used, done, _ := c.Take(b[m.Len:])
			n += int64(used)
			if !done {
				n, kind = int64(len(b)), CutPDU
			}
		}
		if n > int64(len(b)) {
			kind = CutPDU
		}
		have := min(n, int64(len(b)))
		dst = append(dst, PDU{App: AppHTTP, Kind: kind, Len: n, Data: b[:have]})
		b = b[have:]
	}
	return dst
}

// appendHTTP appends the message's part of the info column.
func (u *PDU) appendHTTP(dst []byte) []byte {
	if u.Kind == Continuation {
		return append(dst, "Continuation"...)
	}
	m, _ := HTTPHead(u.Data)
	if m.Line == nil {
		return append(dst, "Continuation"...)
	}
	dst = append(AppendSafe(dst, m.Line), ' ')
	if u.Len <= int64(m.Len) {
		return dst
	}
	media := httpMediaType(m.Field("content-type"))
	body := u.Data[min(m.Len, len(u.Data)):]
	switch {
	case len(media) == 0:
		return dst
	case SameHTTPName(media, "application/json"):
		return append(dst, ", JavaScript Object Notation (application/json)"...)
	case SameHTTPName(media, "image/jpeg"):
		return append(dst, " (JPEG JFIF image)"...)
	case SameHTTPName(media, "image/png"):
		return append(dst, " (PNG)"...)
	case SameHTTPName(media, "image/gif") && len(body) >= 6:
		return append(AppendSafe(append(dst, " ("...), body[:6]), ')')
	}
	dst = append(dst, " ("...)
	for _, c := range media {
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		dst = AppendSafe(dst, []byte{c})
	}
	return append(dst, ')')
}

// httpMediaType is the value of Content-Type without its parameters.
func httpMediaType(v []byte) []byte {
	if i := bytes.IndexAny(v, "; \t"); i >= 0 {
		return v[:i]
	}
	return v
}
