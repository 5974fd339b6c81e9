package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"tundump/replay/netstack"
)

// requester makes requests over whatever dials.
type requester struct {
	dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// client is an HTTP client that keeps no connections.
func (r requester) client() *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: r.dial, DisableKeepAlives: true, Proxy: nil}}
}

// page fetches the demo's page and checks it.
func (r requester) page(ctx context.Context, host string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+host+"/", nil)
	if err != nil {
		return "", err
	}
	start := time.Now()
	resp, err := r.client().Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return "", err
	}
	if string(body) != demoPage {
		return "", fmt.Errorf("%s, and %d bytes that are not the page", resp.Status, len(body))
	}
	return fmt.Sprintf("http://%s/ is %s, %d bytes, %s", host, resp.Status, len(body), ms(time.Since(start))), nil
}

// bulk sends demoBulk bytes, and checks what the service says it got and what
// it sends back.
func (r requester) bulk(ctx context.Context, address string) (string, error) {
	start := time.Now()
	c, err := r.dial(ctx, "tcp", address)
	if err != nil {
		return "", err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	sent := make([]byte, demoBulk)
	rand.Read(sent)
	if _, err := c.Write(sent); err != nil {
		return "", err
	}
	sum := sha256.Sum256(sent)
	want := append([]byte(hex.EncodeToString(sum[:])+"\n"), sent...)
	got := make([]byte, len(want))
	if _, err := io.ReadFull(c, got); err != nil {
		return "", err
	}
	if !bytes.Equal(got, want) {
		return "", fmt.Errorf("what came back is not what was sent")
	}
	return fmt.Sprintf("%s each way in %s, SHA-256 equal at both ends", size(demoBulk), ms(time.Since(start))), nil
}

func ping(ctx context.Context, s *netstack.Stack, dst netip.Addr) (string, error) {
	rtt, err := s.Ping(ctx, dst, []byte("tundump demo"))
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s answered in %s", dst, ms(rtt)), nil
}

// resolve asks the DNS server at address for the demo's name, both families.
func (r requester) resolve(ctx context.Context, address string) (string, error) {
	start := time.Now()
	var found []string
	for _, t := range [...]dnsmessage.Type{dnsmessage.TypeA, dnsmessage.TypeAAAA} {
		addrs, err := r.lookup(ctx, address, demoName, t)
		if err != nil {
			return "", err
		}
		for _, a := range addrs {
			found = append(found, a.String())
		}
	}
	if want := []string{demoWeb4.String(), demoWeb6.String()}; strings.Join(found, " ") != strings.Join(want, " ") {
		return "", fmt.Errorf("%s has the addresses %s, not %s", demoName, found, want)
	}
	return fmt.Sprintf("%s is %s, %s", demoName, strings.Join(found, " and "), ms(time.Since(start))), nil
}

// lookupTry is how long one query waits for its answer before it is sent
// again: datagrams may be lost.
const lookupTry = 3 * time.Second

// lookup asks the DNS server at address for name.
func (r requester) lookup(ctx context.Context, address, name string, t dnsmessage.Type) ([]netip.Addr, error) {
	c, err := r.dial(ctx, "udp", address)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	query, id, err := dnsQuery(name, t)
	if err != nil {
		return nil, err
	}
	buf := make([]byte, 4096)
	for ctx.Err() == nil {
		if _, err := c.Write(query); err != nil {
			return nil, err
		}
		deadline, ok := ctx.Deadline()
		if try := time.Now().Add(lookupTry); !ok || try.Before(deadline) {
			deadline = try
		}
		if err := c.SetReadDeadline(deadline); err != nil {
			return nil, err
		}
		for {
			n, err := c.Read(buf)
			if ne, ok := err.(net.Error); ok && ne.Timeout() {
				break
			}
			if err != nil {
				return nil, err
			}
			// What is no answer to this question is passed over, and does not
			// have the question asked again.
			if addrs, ours, err := dnsAnswer(buf[:n], id, name); ours {
				return addrs, err
			}
		}
	}
	return nil, fmt.Errorf("no answer from the DNS server %s for %s", address, name)
}

func dnsQuery(name string, t dnsmessage.Type) (query []byte, id uint16, err error) {
	var b [2]byte
	rand.Read(b[:])
	id = uint16(b[0])<<8 | uint16(b[1])
	n, err := dnsmessage.NewName(strings.TrimSuffix(name, ".") + ".")
	if err != nil {
		return nil, 0, fmt.Errorf("%q is no name: %w", name, err)
	}
	m := dnsmessage.Message{Header: dnsmessage.Header{ID: id, RecursionDesired: true},
		Questions: []dnsmessage.Question{{Name: n, Type: t, Class: dnsmessage.ClassINET}}}
	query, err = m.Pack()
	return query, id, err
}

// dnsAnswer reads an answer; ours is false if it is to another question.
func dnsAnswer(b []byte, id uint16, name string) (addrs []netip.Addr, ours bool, err error) {
	var m dnsmessage.Message
	if err := m.Unpack(b); err != nil || !m.Response || m.ID != id {
		return nil, false, err
	}
	if m.RCode != dnsmessage.RCodeSuccess {
		return nil, true, &net.DNSError{Err: strings.TrimPrefix(m.RCode.String(), "RCode"), Name: name, IsNotFound: m.RCode == dnsmessage.RCodeNameError}
	}
	for _, r := range m.Answers {
		switch body := r.Body.(type) {
		case *dnsmessage.AResource:
			addrs = append(addrs, netip.AddrFrom4(body.A))
		case *dnsmessage.AAAAResource:
			addrs = append(addrs, netip.AddrFrom16(body.AAAA))
		}
	}
	return addrs, true, nil
}

// ms prints a duration in milliseconds.
func ms(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000) }
