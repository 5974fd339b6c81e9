package dnssd

import (
	"net/netip"
	"reflect"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// What is written an independent parser reads, and what an independent writer
// has written, compressed, is read.
func TestAgainstDNSMessage(t *testing.T) {
	instance := makeName("x") + serviceName
	host := makeName("host", "local")
	a := Announcement{cfg: Config{Addr: netip.MustParseAddrPort("0.0.0.0:8890")}, instance: instance, host: host}
	l := link{addrs: []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")}}
	ours := message{id: 7, flags: flagResponse | flagAuthoritative, answers: a.records(l, hostTTL),
		questions: []question{{serviceName, typePTR, classIN}}}
	var theirs dnsmessage.Message
	if err := theirs.Unpack(ours.pack()); err != nil {
		t.Fatal(err)
	}
	if len(theirs.Answers) != len(ours.answers) || !theirs.Authoritative || theirs.Questions[0].Name.String() != "_tunnelserver._tcp.local." {
		t.Errorf("%v", theirs.GoString())
	}
	srv := theirs.Answers[1].Body.(*dnsmessage.SRVResource)
	if srv.Port != 8890 || srv.Target.String() != "host.local." {
		t.Errorf("%v", srv.GoString())
	}
	packed, err := theirs.Pack()
	if err != nil {
		t.Fatal(err)
	}
	if len(packed) >= len(ours.pack()) {
		t.Fatal("the other writer does not compress: this tests nothing")
	}
	back, err := parse(packed)
	if err != nil || !reflect.DeepEqual(back, ours) {
		t.Errorf("%v\n%+v\n%+v", err, back, ours)
	}
}

func FuzzParse(f *testing.F) {
	instance := makeName("a.b") + serviceName
	m := message{flags: flagResponse, questions: []question{{instance, typeANY, classIN}},
		answers: []record{{name: instance, typ: typeSRV, class: classIN, ttl: 1, target: makeName("h", "local"), port: 1}, {name: instance, typ: typeTXT, class: classIN}},
		extra:   []record{{name: makeName("h", "local"), typ: typeA, class: classIN, addr: netip.MustParseAddr("192.0.2.1")}}}
	f.Add(m.pack())
	f.Add([]byte("\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\xc0\x0c\x00\x01\x00\x01"))                     // a pointer to itself
	f.Add([]byte("\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\xc0\x0c\x00\x01\x00\x01"))                // a cycle
	f.Add([]byte("\x00\x00\x84\x00\xff\xff\xff\xff\xff\xff\xff\xff"))                                             // counts
	f.Add([]byte("\x00\x00\x84\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01\x00\x01\x00\x00\x00\x00\xff\xff")) // a length
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parse(b)
		if err != nil {
			return
		}
		for _, q := range m.questions {
			checkName(t, q.name)
		}
		for _, rs := range [][]record{m.answers, m.authorities, m.extra} {
			for _, r := range rs {
				checkName(t, r.name)
				checkName(t, r.target)
				if (r.typ == typeA) != r.addr.Is4() || (r.typ == typeAAAA) != r.addr.Is6() {
					t.Fatalf("type %d with address %v", r.typ, r.addr)
				}
			}
		}
		if packed := m.pack(); len(packed) <= maxMessage {
			back, err := parse(packed)
			if err != nil || !reflect.DeepEqual(back, m) {
				t.Fatalf("%v\n%+v\n%+v", err, m, back)
			}
		}
	})
}

// checkName walks the labels of a name.
func checkName(t *testing.T, n name) {
	t.Helper()
	if len(n) > 254 || len(n.fold()) != len(n) {
		t.Fatalf("%q", n)
	}
	for ; n != ""; n = n.parent() {
		if l := n.first(); len(l) == 0 || len(l) > 63 {
			t.Fatalf("%q", n)
		}
	}
}
