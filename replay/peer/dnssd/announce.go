package dnssd

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Times of RFC 6762 sections 6, 8.1, 8.3 and 10.
const (
	probes        = 3
	probeWait     = 250 * time.Millisecond
	announceAgain = time.Second
	announcements = 2
	answerPause   = 250 * time.Millisecond // between answers on a link

	hostTTL   = 120
	otherTTL  = 4500
	legacyTTL = 10

	// refresh is how often the interfaces are looked at again.
	refresh = 10 * time.Second
	// maxLegacy is how many questions of simple resolvers are answered in
	// answerPause.
	maxLegacy = 10
)

// Config is what is announced.
type Config struct {
	Name string // of the service instance: 1 to 63 bytes of UTF-8
	// Addr is the server's listener. An unspecified address is announced as
	// all addresses of this machine, on each network those that it has there;
	// a specific one on its network alone.
	Addr   netip.AddrPort
	Logger *slog.Logger // nil is silent
}

// Announcement is a service that is announced.
type Announcement struct {
	cfg      Config
	instance name
	host     name
	sockets  *sockets
	cancel   context.CancelFunc
	done     chan struct{} // closed when run has ended

	mu       sync.Mutex
	links    []link
	answered map[int]time.Time // when a link was last answered
	legacy   int               // since legacyAt
	legacyAt time.Time
	probing  bool
	conflict *ConflictError // the first while probing
}

// Announce announces a service until Close. It first asks whether somebody
// else has the name, which takes three quarters of a second; then the error is
// a [*ConflictError].
func Announce(ctx context.Context, cfg Config) (*Announcement, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	instance, err := instanceName(cfg.Name)
	if err != nil {
		return nil, err
	}
	if cfg.Addr.Port() == 0 || cfg.Addr.Addr().IsLoopback() {
		return nil, fmt.Errorf("dnssd: %s is reached by this machine alone", cfg.Addr)
	}
	cfg.Addr = netip.AddrPortFrom(cfg.Addr.Addr().Unmap().WithZone(""), cfg.Addr.Port())
	links, err := findLinks(cfg.Addr.Addr())
	if err != nil {
		return nil, err
	}
	// A host name of our own: the machine's belongs to its own responder.
	var id [4]byte
	rand.Read(id[:])
	a := &Announcement{cfg: cfg, instance: instance, host: makeName("tundump-"+hex.EncodeToString(id[:]), "local"),
		done: make(chan struct{}), links: links, answered: make(map[int]time.Time), probing: true}
	ready := make(chan struct{}) // closed when a.sockets is set
	a.sockets, err = openSockets(links, cfg.Logger, func(b []byte, index int, from netip.AddrPort) {
		<-ready
		a.receive(b, index, from)
	})
	if err != nil {
		return nil, err
	}
	close(ready)
	if err := a.probe(ctx); err != nil {
		return nil, errors.Join(err, a.sockets.close())
	}
	a.multicast(hostTTL)
	ctx, a.cancel = context.WithCancel(context.WithoutCancel(ctx))
	go a.run(ctx) // ends with Close
	return a, nil
}

// Close says goodbye and ends the announcement.
func (a *Announcement) Close() error {
	a.cancel()
	<-a.done
	a.multicast(0)
	return a.sockets.close()
}

// probe asks three times whether somebody has the name.
func (a *Announcement) probe(ctx context.Context) error {
	for range probes {
		a.mu.Lock()
		for _, l := range a.links {
			msg := message{questions: []question{{a.instance, typeANY, classIN}}, authorities: []record{a.srv(hostTTL)}}
			a.sockets.multicast(l, msg.pack())
		}
		a.mu.Unlock()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(probeWait):
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.probing = false
	if a.conflict != nil {
		return a.conflict
	}
	return nil
}

// run announces once more, and whenever the interfaces have changed.
func (a *Announcement) run(ctx context.Context) {
	defer close(a.done)
	for left := announcements - 1; ; {
		wait := refresh
		if left > 0 {
			wait = announceAgain
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		if left > 0 || a.changed() {
			left = max(left-1, 0)
			a.multicast(hostTTL)
		}
	}
}

// changed looks at the interfaces again, and reports whether they or their
// addresses are others.
func (a *Announcement) changed() bool {
	links, err := findLinks(a.cfg.Addr.Addr())
	if err != nil {
		links = nil // no network for the moment
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	same := func(x, y link) bool { return x.ifi.Index == y.ifi.Index && slices.Equal(x.addrs, y.addrs) }
	if slices.EqualFunc(a.links, links, same) {
		return false
	}
	for _, l := range links {
		if !slices.ContainsFunc(a.links, func(old link) bool { return old.ifi.Index == l.ifi.Index }) {
			a.sockets.join(l)
		}
	}
	a.links = links
	return true
}

// multicast announces everything on each link; a ttl of 0 takes it back.
func (a *Announcement) multicast(ttl uint32) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, l := range a.links {
		msg := message{flags: flagResponse | flagAuthoritative, answers: a.records(l, ttl)}
		a.sockets.multicast(l, msg.pack())
	}
}

func (a *Announcement) srv(ttl uint32) record {
	return record{name: a.instance, typ: typeSRV, class: classIN | topBit, ttl: ttl, target: a.host, port: a.cfg.Addr.Port()}
}

// records returns all there is to say on a link. ttl is that of the records
// with a host in them; of the others it is longer unless 0.
func (a *Announcement) records(l link, ttl uint32) []record {
	long := uint32(otherTTL)
	if ttl < hostTTL {
		long = ttl
	}
	rs := []record{
		{name: serviceName, typ: typePTR, class: classIN, ttl: long, target: a.instance},
		a.srv(ttl),
		{name: a.instance, typ: typeTXT, class: classIN | topBit, ttl: long},
	}
	for _, addr := range l.addrs {
		typ := uint16(typeA)
		if addr.Is6() {
			typ = typeAAAA
		}
		rs = append(rs, record{name: a.host, typ: typ, class: classIN | topBit, ttl: ttl, addr: addr.WithZone("")})
	}
	if ttl > 0 { // others have services of that type, too: only ours go
		rs = append(rs, record{name: typesName, typ: typePTR, class: classIN, ttl: long, target: serviceName})
	}
	return rs
}

// receive handles a message from the network.
func (a *Announcement) receive(b []byte, index int, from netip.AddrPort) {
	m, err := parse(b)
	if err != nil || m.flags&maskOpcodeAndCode != 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if m.flags&flagResponse != 0 {
		if from.Port() == port {
			a.watch(&m)
		}
		return
	}
	if a.probing {
		return
	}
	for _, l := range a.links {
		if index == 0 || index == l.ifi.Index {
			a.answer(&m, l, from)
		}
	}
}

// watch looks for somebody else with our name.
func (a *Announcement) watch(m *message) {
	for _, r := range slices.Concat(m.answers, m.extra) {
		if r.typ != typeSRV || r.ttl == 0 || r.name.fold() != a.instance.fold() || r.target.fold() == a.host {
			continue
		}
		switch {
		case !a.probing && a.conflict == nil:
			a.cfg.Logger.Warn("another host announces the same name", "name", a.cfg.Name, "host", r.target.first())
			fallthrough
		case a.conflict == nil:
			a.conflict = &ConflictError{Name: a.cfg.Name, Host: r.target.first(), Port: r.port}
		}
	}
}

// answer answers the questions of a message that are about this service.
// Whoever asks from another port than multicast DNS's is a simple resolver,
// which is answered alone: RFC 6762 section 6.7.
func (a *Announcement) answer(m *message, l link, from netip.AddrPort) {
	var answers, extra []record
	all := a.records(l, hostTTL)
	for _, r := range all {
		if !slices.ContainsFunc(m.questions, func(q question) bool { return asks(q, r) }) {
			extra = append(extra, r)
		} else if !slices.ContainsFunc(m.answers, func(known record) bool { return knows(known, r) }) {
			answers = append(answers, r)
		}
	}
	if len(answers) == 0 {
		return
	}
	reply := message{flags: flagResponse | flagAuthoritative, answers: answers, extra: extra}
	now := time.Now()
	if from.Port() == port {
		if now.Sub(a.answered[l.ifi.Index]) >= answerPause {
			a.answered[l.ifi.Index] = now
			a.sockets.multicast(l, reply.pack())
		}
		return
	}
	if now.Sub(a.legacyAt) >= answerPause {
		a.legacy, a.legacyAt = 0, now
	}
	if a.legacy++; a.legacy > maxLegacy || len(m.questions) > maxLegacy {
		return
	}
	reply.id, reply.questions = m.id, m.questions
	for _, section := range [...][]record{answers, extra} {
		for i := range section {
			section[i].ttl = legacyTTL
			section[i].class = classIN
		}
	}
	a.sockets.unicast(from, reply.pack())
}

func asks(q question, r record) bool {
	class := q.class &^ topBit
	return (q.typ == r.typ || q.typ == typeANY) && (class == classIN || class == classANY) && q.name.fold() == r.name.fold()
}

// knows reports whether the asker has a record for at least half its life
// more: RFC 6762 section 7.1.
func knows(known, r record) bool {
	return known.typ == r.typ && known.ttl >= r.ttl/2 && known.name.fold() == r.name.fold() &&
		known.target.fold() == r.target.fold() && known.port == r.port && known.addr == r.addr
}
