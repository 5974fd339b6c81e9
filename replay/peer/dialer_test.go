package peer

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

func prefixes(s ...string) (p []netip.Prefix) {
	for _, s := range s {
		p = append(p, netip.MustParsePrefix(s))
	}
	return p
}

var errDialled = errors.New("dialled")

// recorder is a Connect that goes nowhere.
type recorder struct{ to []string }

func (r *recorder) connect(_ context.Context, _, address string) (net.Conn, error) {
	r.to = append(r.to, address)
	return nil, errDialled
}

func TestPolicy(t *testing.T) {
	own := []netip.AddrPort{netip.MustParseAddrPort("203.0.113.5:8890"), netip.MustParseAddrPort("0.0.0.0:9000")}
	for _, tt := range []struct {
		to   string
		d    Dialer
		want error
	}{
		{"93.184.216.34:80", Dialer{}, errDialled},
		{"[2606:4700::1]:80", Dialer{}, errDialled},
		{"192.168.1.1:80", Dialer{}, errDialled},
		{"127.0.0.1:80", Dialer{}, fs.ErrPermission},
		{"127.9.9.9:80", Dialer{}, fs.ErrPermission},
		{"[::1]:80", Dialer{}, fs.ErrPermission},
		{"[::ffff:127.0.0.1]:80", Dialer{}, fs.ErrPermission},
		{"0.0.0.0:80", Dialer{}, fs.ErrPermission},
		{"0.1.2.3:80", Dialer{}, fs.ErrPermission},
		{"[::]:80", Dialer{}, fs.ErrPermission},
		{"169.254.169.254:80", Dialer{}, fs.ErrPermission},
		{"[fe80::1]:80", Dialer{}, fs.ErrPermission},
		{"[fe80::1%lo]:80", Dialer{}, fs.ErrPermission},
		{"[fd00:ec2::254]:80", Dialer{}, fs.ErrPermission},
		{"224.0.0.251:5353", Dialer{}, fs.ErrPermission},
		{"[ff02::fb]:5353", Dialer{}, fs.ErrPermission},
		{"255.255.255.255:67", Dialer{}, fs.ErrPermission},
		{"203.0.113.5:8890", Dialer{Own: own}, fs.ErrPermission},
		{"203.0.113.5:8891", Dialer{Own: own}, errDialled},
		{"127.0.0.1:9000", Dialer{Own: own, Allow: prefixes("127.0.0.0/8")}, errDialled},
		{"10.8.0.7:80", Dialer{Refuse: prefixes("10.8.0.0/16")}, fs.ErrPermission},
		{"10.8.0.7:80", Dialer{Refuse: prefixes("10.8.0.0/16"), Allow: prefixes("10.8.0.7/32")}, errDialled},
		{"93.184.216.34:80", Dialer{Only: prefixes("10.0.0.0/8")}, fs.ErrPermission},
		{"10.1.1.1:80", Dialer{Only: prefixes("10.0.0.0/8")}, errDialled},
		{"127.0.0.1:80", Dialer{Only: prefixes("127.0.0.0/8")}, fs.ErrPermission},
		{"127.0.0.1:80", Dialer{Only: prefixes("127.0.0.0/8"), Allow: prefixes("127.0.0.1/32")}, errDialled},
		{"127.0.0.1:53", Dialer{Redirect: map[netip.AddrPort]string{netip.MustParseAddrPort("127.0.0.1:53"): "127.0.0.53:53"}}, errDialled},
	} {
		var r recorder
		tt.d.Connect = r.connect
		_, err := tt.d.DialContext(within(t), "tcp", tt.to)
		if !errors.Is(err, tt.want) || errors.Is(err, errDialled) != (len(r.to) == 1) {
			t.Errorf("%s %+v: %v, dialled %v", tt.to, tt.d, err, r.to)
		}
	}
}

// An unspecified listener is this machine's, whichever address it is reached
// by.
func TestPolicyOwnAddress(t *testing.T) {
	d := Dialer{Own: []netip.AddrPort{netip.MustParseAddrPort("[::]:9000")}}
	for _, ia := range must(net.InterfaceAddrs())(t) {
		if a, ok := netip.AddrFromSlice(ia.(*net.IPNet).IP); ok && special(a.Unmap()) == "" {
			if _, err := d.DialAddrPort(within(t), "tcp", netip.AddrPortFrom(a, 9000)); !errors.Is(err, fs.ErrPermission) {
				t.Fatal(a, err)
			}
			return
		}
	}
	t.Skip("this machine has only special addresses")
}

// A name leads nowhere that an address could not, and what is checked is
// dialled: the resolver is asked once.
func TestPolicyNames(t *testing.T) {
	var asked int
	resolver := &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		near, far := net.Pipe()
		go func() {
			defer far.Close()
			buf := make([]byte, 4096)
			for {
				n, err := far.Read(buf)
				if err != nil {
					return
				}
				out := answerDNS(buf[2:n], &asked) // a pipe is a stream: two bytes of length
				if _, err := far.Write(append([]byte{byte(len(out) >> 8), byte(len(out))}, out...)); err != nil {
					return
				}
			}
		}()
		return near, nil
	}}
	for name, want := range map[string][]string{
		"evil.test.":    nil,
		"mixed.test.":   {"93.184.216.34:80"},
		"missing.test.": nil,
		"good.test.":    {"93.184.216.34:80"},
	} {
		var r recorder
		d := Dialer{Resolver: resolver, Connect: r.connect}
		asked = 0
		_, err := d.DialContext(within(t), "tcp", name+":80")
		if len(r.to) != len(want) || len(want) > 0 && r.to[0] != want[0] || asked > 1 {
			t.Errorf("%s: dialled %v, asked %d times: %v", name, r.to, asked, err)
		}
		if code := resultOf(err); name == "missing.test." && code != 2 || name == "evil.test." && code != 3 {
			t.Errorf("%s: code %d: %v", name, code, err)
		}
	}
}

func answerDNS(query []byte, asked *int) []byte {
	var m dnsmessage.Message
	if err := m.Unpack(query); err != nil {
		return nil
	}
	q := m.Questions[0]
	m.Response, m.Additionals = true, nil
	names := map[string][][4]byte{
		"evil.test.":  {{127, 0, 0, 1}},
		"good.test.":  {{93, 184, 216, 34}},
		"mixed.test.": {{169, 254, 169, 254}, {93, 184, 216, 34}},
	}
	if _, ok := names[q.Name.String()]; !ok {
		m.RCode = dnsmessage.RCodeNameError
	} else if q.Type == dnsmessage.TypeA {
		*asked++
		for _, a := range names[q.Name.String()] {
			m.Answers = append(m.Answers, dnsmessage.Resource{
				Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class},
				Body:   &dnsmessage.AResource{A: a},
			})
		}
	}
	out, err := m.Pack()
	if err != nil {
		return nil
	}
	return out
}

func TestEchoPolicyAndSocket(t *testing.T) {
	var d Dialer
	if err := d.Echo(within(t), netip.MustParseAddr("127.0.0.1"), nil); !errors.Is(err, fs.ErrPermission) {
		t.Fatal(err)
	}
	d.Allow = prefixes("127.0.0.0/8", "::1/128")
	for _, a := range []string{"127.0.0.1", "::1"} {
		err := d.Echo(within(t), netip.MustParseAddr(a), random(56))
		if errors.Is(err, errors.ErrUnsupported) {
			t.Skip("this system has no ICMP socket for this user:", err)
		}
		if err != nil {
			t.Error(a, err)
		}
	}
}
