package main

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// stray is a connection to a DNS server that sends datagrams that are no
// answers before the answer.
type stray struct {
	net.Conn // nil: what lookup does not need
	queries  int
	toRead   [][]byte
}

func (s *stray) Write(query []byte) (int, error) {
	if s.queries++; s.queries == 1 {
		answer, err := answerDNS(query)
		if err != nil {
			return 0, err
		}
		other := slices.Clone(answer)
		other[0]++ // another question's
		s.toRead = [][]byte{[]byte("no DNS"), other, slices.Clone(query), answer}
	}
	return len(query), nil
}

func (s *stray) Read(b []byte) (int, error) {
	n := copy(b, s.toRead[0])
	s.toRead = s.toRead[1:]
	return n, nil
}

func (s *stray) SetReadDeadline(time.Time) error { return nil }
func (s *stray) Close() error                    { return nil }

// A server that sends much is not asked much.
func TestLookupPassesOverStrayDatagrams(t *testing.T) {
	var conn stray
	r := requester{dial: func(context.Context, string, string) (net.Conn, error) { return &conn, nil }}
	addrs, err := r.lookup(t.Context(), "192.0.2.1:53", demoName, dnsmessage.TypeA)
	if err != nil || !slices.Equal(addrs, []netip.Addr{demoWeb4}) || conn.queries != 1 {
		t.Errorf("%v, %v, asked %d times", addrs, err, conn.queries)
	}
}
