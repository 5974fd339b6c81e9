package socks

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// reader reads a client's connection: messages first, bytes afterwards.
type reader struct {
	conn net.Conn
	b    []byte // read and not taken
	buf  [2 * maxRequest]byte
}

func newReader(conn net.Conn) *reader { return &reader{conn: conn} }

// next reads until parse has found a message, and takes it. parse returns its
// length, 0 while there is more to come; no message is longer than
// maxRequest.
func (r *reader) next(parse func(b []byte) (n int, err error)) error {
	for {
		n, err := parse(r.b)
		if n > 0 || err != nil {
			r.b = r.b[n:]
			return err
		}
		held := copy(r.buf[:], r.b)
		n, err = r.conn.Read(r.buf[held:])
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		r.b = r.buf[:held+n]
		if n == 0 && err != nil {
			return err
		}
	}
}

// Read reads what was read too far, then the connection.
func (r *reader) Read(b []byte) (int, error) {
	if len(r.b) > 0 {
		n := copy(b, r.b)
		r.b = r.b[n:]
		return n, nil
	}
	return r.conn.Read(b)
}

const chunk = 32 << 10

// halfCloser is a connection that can say that it has no more to send.
type halfCloser interface{ CloseWrite() error }

// pipe is a client's connection and the one that was dialled for it.
//
// An end of file is passed on as a half close where both can: then each
// direction ends for itself. Otherwise the first end is the beginning of the
// end of both: the other direction goes on until it ends too, or is silent for
// linger, because closing it at once would cost the client the rest of an
// answer.
type pipe struct {
	client net.Conn
	in     *reader // of client
	remote net.Conn
	linger time.Duration

	halves bool        // both have a half close
	ending atomic.Bool // there is none, and one direction has ended
}

// carry copies both ways until both directions have ended. An error on one
// side resets the other.
func (p *pipe) carry() error {
	_, a := p.client.(halfCloser)
	_, b := p.remote.(halfCloser)
	p.halves = a && b
	var wg sync.WaitGroup
	var up, down error
	wg.Go(func() { up = p.copy(p.remote, p.client, p.in) }) // ends with either connection
	down = p.copy(p.client, p.remote, p.remote)
	wg.Wait()
	return errors.Join(up, down)
}

// copy carries src, which reads from, to to. It returns nil at the end of a
// file, and after any other error has closed both connections.
func (p *pipe) copy(to, from net.Conn, src io.Reader) error {
	buf := make([]byte, chunk)
	for {
		n, err := src.Read(buf)
		if n > 0 {
			_, werr := to.Write(buf[:n])
			switch {
			case werr == nil && p.ending.Load():
				p.lingerOn(from)
			case werr != nil && !p.ending.Load(): // else nobody wants it: it is thrown away
				err = werr
			}
		}
		switch {
		case err == nil:
		case err == io.EOF:
			p.finish(to)
			return nil
		case p.ending.Load():
			to.Close()
			from.Close()
			return nil
		default:
			reset(to)
			reset(from)
			return err
		}
	}
}

// finish tells to that nothing more comes.
func (p *pipe) finish(to net.Conn) {
	if p.halves {
		// If this fails the connection is gone, which its reader sees.
		_ = to.(halfCloser).CloseWrite()
		return
	}
	p.ending.Store(true)
	p.lingerOn(to)
	if to == p.client {
		if h, ok := to.(halfCloser); ok {
			_ = h.CloseWrite() // as above
			return
		}
		to.Close()
	}
}

func (p *pipe) lingerOn(c net.Conn) {
	// If this fails the connection is gone, which its reader sees.
	_ = c.SetReadDeadline(time.Now().Add(p.linger))
}

// reset closes a connection so that the other end sees that it broke.
func reset(c net.Conn) {
	if l, ok := c.(interface{ SetLinger(sec int) error }); ok {
		_ = l.SetLinger(0) // fails only if the connection is gone
	}
	c.Close()
}
