package socks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"
)

const (
	// maxDatagram is the longest payload of UDP over IPv4 and IPv6.
	maxDatagram = 65535 - 8
	// maxNames is how many names an association remembers, and maxHeld how
	// many datagrams wait for one to be resolved; more are dropped.
	maxNames = 256
	maxHeld  = 8
	// maxLookups is how many names are being resolved at once.
	maxLookups = 16
	// nameAge is how long a name's address is used without asking again.
	nameAge = time.Minute
)

// association carries a client's datagrams. It ends with its TCP connection.
type association struct {
	r      *serving
	local  *net.UDPConn   // towards the client
	remote net.PacketConn // towards everybody else
	host   netip.Addr     // of the client

	mu     sync.Mutex
	port   uint16         // the client's; 0: that of its first datagram
	client netip.AddrPort // its socket, once it has sent something
	names  map[string]*name
	asking int
}

// name is a name that a datagram was for.
type name struct {
	addr  netip.Addr // invalid: being resolved
	since time.Time
	held  []heldDatagram
}

type heldDatagram struct {
	payload []byte
	port    uint16
}

// associate answers a UDP ASSOCIATE and carries datagrams until the client
// closes its TCP connection, ctx ends or the remote end fails.
//
// Source: RFC 1928 sections 4, 6 and 7.
func (r *serving) associate(ctx context.Context, conn net.Conn, in *reader, to destination) error {
	select {
	case r.associations <- struct{}{}:
		defer func() { <-r.associations }()
	default:
		return refuse(conn, GeneralFailure, fmt.Errorf("too many associations: the limit is %d", cap(r.associations)))
	}
	own, client := addrPortOf(conn.LocalAddr()), addrPortOf(conn.RemoteAddr())
	if !own.IsValid() || !client.IsValid() {
		return refuse(conn, GeneralFailure, errors.New("an association needs a client on a network"))
	}
	open, cancel := context.WithTimeout(ctx, r.Limits.Dial)
	defer cancel()
	remote, err := r.ListenPacket(open)
	if err != nil {
		return refuse(conn, CodeOf(err), fmt.Errorf("cannot open an association: %w", err))
	}
	defer remote.Close()
	local, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(own.Addr(), 0)))
	if err != nil {
		return refuse(conn, GeneralFailure, err)
	}
	defer local.Close()
	if _, err := conn.Write(appendReply(nil, Succeeded, addrPortOf(local.LocalAddr()))); err != nil {
		return err
	}
	a := &association{r: r, local: local, remote: remote, host: client.Addr().WithZone(""), port: to.port, names: make(map[string]*name)}
	return a.carry(ctx, conn, in)
}

// carry waits for the first end of three: the TCP connection, and either
// direction.
func (a *association) carry(ctx context.Context, conn net.Conn, in io.Reader) error {
	ctx, cancel := context.WithCancel(ctx)
	stop := func() {
		cancel()
		a.local.Close()
		a.remote.Close()
		conn.Close() // last: who sees this end finds the others ended
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	defer context.AfterFunc(ctx, stop)()
	var down error
	wg.Go(func() { // ends with remote
		down = a.fromRemote()
		cancel()
	})
	wg.Go(func() { // ends with local
		a.fromClient(ctx, &wg)
		cancel()
	})
	// The client sends nothing more on its connection; if it does, it is
	// thrown away.
	_, err := io.Copy(io.Discard, in)
	if ctx.Err() == nil {
		return err
	}
	stop()
	wg.Wait()
	return down
}

// fromClient sends on what the client sends.
func (a *association) fromClient(ctx context.Context, wg *sync.WaitGroup) {
	buf := make([]byte, maxDatagram+1)
	for {
		n, from, err := a.local.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		if !a.isClient(from) {
			continue
		}
		to, payload, err := parseDatagram(buf[:n])
		if err != nil || to.port == 0 {
			a.r.Logger.Debug("SOCKS datagram dropped", "client", from, "err", err)
			continue
		}
		if to.name != "" {
			a.sendToName(ctx, wg, to, payload)
			continue
		}
		a.send(payload, netip.AddrPortFrom(to.addr, to.port))
	}
}

// isClient reports whether a datagram comes from the client of this
// association: from its host, and from one socket, the one it named or else
// the first that sends.
func (a *association) isClient(from netip.AddrPort) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if from.Addr().Unmap().WithZone("") != a.host || a.port != 0 && a.port != from.Port() {
		return false
	}
	a.port, a.client = from.Port(), from
	return true
}

func (a *association) send(payload []byte, to netip.AddrPort) {
	// A datagram may be lost. That the remote end is gone is fromRemote's to
	// see.
	if _, err := a.remote.WriteTo(payload, net.UDPAddrFromAddrPort(to)); err != nil {
		a.r.Logger.Debug("SOCKS datagram not sent", "to", to, "err", err)
	}
}

// sendToName sends a datagram once its name is resolved. It never waits: a
// name that takes its time does not hold up other datagrams.
func (a *association) sendToName(ctx context.Context, wg *sync.WaitGroup, to destination, payload []byte) {
	if a.r.Resolve == nil {
		return
	}
	a.mu.Lock()
	n := a.names[to.name]
	if n != nil && n.addr.IsValid() && time.Since(n.since) < nameAge {
		a.mu.Unlock()
		a.send(payload, netip.AddrPortFrom(n.addr, to.port))
		return
	}
	defer a.mu.Unlock()
	fresh := n == nil || n.addr.IsValid()
	if fresh {
		if a.asking >= maxLookups {
			return
		}
		if len(a.names) >= maxNames {
			a.forget()
		}
		n = &name{}
		a.names[to.name] = n
		a.asking++
	}
	if len(n.held) < maxHeld {
		n.held = append(n.held, heldDatagram{append([]byte(nil), payload...), to.port})
	}
	if fresh {
		wg.Go(func() { a.resolve(ctx, to.name, n) }) // ends with Resolve, which ends with ctx
	}
}

// forget drops the names that are resolved.
func (a *association) forget() {
	for key, n := range a.names {
		if n.addr.IsValid() {
			delete(a.names, key)
		}
	}
}

func (a *association) resolve(ctx context.Context, key string, n *name) {
	ctx, cancel := context.WithTimeout(ctx, a.r.Limits.Dial)
	defer cancel()
	addrs, err := a.r.Resolve(ctx, key)
	if err == nil && len(addrs) == 0 {
		err = errors.New("it has no address")
	}
	a.mu.Lock()
	a.asking--
	held := n.held
	if err != nil {
		delete(a.names, key)
		a.mu.Unlock()
		a.r.Logger.Debug("SOCKS datagrams dropped: the name cannot be resolved", "name", key, "err", err)
		return
	}
	n.addr, n.since, n.held = addrs[0].Unmap(), time.Now(), nil
	a.mu.Unlock()
	for _, d := range held {
		a.send(d.payload, netip.AddrPortFrom(addrs[0].Unmap(), d.port))
	}
}

// fromRemote sends the client what comes back.
func (a *association) fromRemote() error {
	buf := make([]byte, maxHeader+maxDatagram)
	for {
		n, from, err := a.remote.ReadFrom(buf[maxHeader:])
		if err != nil {
			return fmt.Errorf("the association's remote end: %w", err)
		}
		a.mu.Lock()
		client := a.client
		a.mu.Unlock()
		if !client.IsValid() {
			continue
		}
		// The header's length is known only now: it goes right before the
		// payload.
		header := appendHeader(buf[:0:maxHeader], addrPortOf(from))
		start := maxHeader - len(header)
		copy(buf[start:], header)
		_, err = a.local.WriteToUDPAddrPort(buf[start:maxHeader+n], client)
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
	}
}
