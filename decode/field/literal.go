package field

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// Form is how a literal is written in a filter.
type Form uint8

const (
	Bare   Form = iota
	Quoted      // "…"
	Char        // '…'
)

// Domain is what can be compared with the values of a field, or of what a
// filter makes of one.
type Domain struct {
	Type   Type
	Family int    // of addresses: 4 or 6; 0 is any
	Names  []Name // of numbers: words that stand for them
}

// Domain returns what can be compared with the field's values.
func (f *Field) Domain() Domain { return Domain{f.Type, family(f.Name), named(f.Name)} }

// family returns the IP version of the addresses that a field has.
func family(name string) int {
	switch {
	case strings.HasPrefix(name, "ipv6."), strings.HasPrefix(name, "icmpv6."), name == "dns.aaaa":
		return 6
	case strings.HasPrefix(name, "ip."), strings.HasPrefix(name, "dhcp."), name == "dns.a":
		return 4
	}
	return 0
}

// Parse reads a literal, as tshark reads it for a field of that type. The
// error says what the type takes.
func (d Domain) Parse(text string, form Form) (Value, error) {
	switch d.Type {
	case String, Object:
		return stringValue(text), nil
	case Bytes:
		return parseBytes(text, form)
	case Bool, Uint, Int:
		return d.parseNumber(text, form)
	case Time:
		return parseTime(text)
	}
	return d.parseAddr(text, form)
}

func (d Domain) parseNumber(text string, form Form) (Value, error) {
	if form == Char {
		if len(text) != 1 {
			return Value{}, fmt.Errorf("%q is not one character", text)
		}
		return uintValue(uint64(text[0])), nil
	}
	for _, n := range d.Names {
		if n.Text == text {
			return d.number(n.Number), nil
		}
	}
	if form == Bare {
		if v, ok := d.parseDigits(text); ok {
			return v, nil
		}
	}
	takes := d.Type.String() + ": 10, 0xa, 012, 0b1010"
	if d.Type == Bool {
		takes = "boolean: 1, 0, True or False"
	}
	if n := d.Names; len(n) > 0 && d.Type != Bool {
		takes += fmt.Sprintf(" or a name such as %q", n[len(n)/2].Text)
	}
	return Value{}, fmt.Errorf("%s is no %s", quoted(text, form), takes)
}

func (d Domain) parseDigits(text string) (v Value, ok bool) {
	if d.Type == Bool {
		switch text {
		case "True", "TRUE", "true":
			return boolValue(true), true
		case "False", "FALSE", "false":
			return boolValue(false), true
		}
	}
	if strings.Contains(text, "_") {
		return Value{}, false
	}
	if n, err := strconv.ParseUint(text, 0, 64); err == nil {
		return d.number(n), true
	}
	n, err := strconv.ParseInt(text, 0, 64)
	return intValue(n), err == nil && d.Type == Int
}

func (d Domain) number(n uint64) Value {
	if d.Type == Bool {
		return boolValue(n != 0)
	}
	return uintValue(n)
}

func quoted(text string, form Form) string {
	if form == Quoted {
		return "the string " + strconv.Quote(text)
	}
	return strconv.Quote(text)
}

// parseBytes reads 16:03:01, 16-03-01, 16.03.01, 160301, or a string's bytes.
func parseBytes(text string, form Form) (Value, error) {
	if form != Bare {
		return bytesValue([]byte(text)), nil
	}
	b, rest := []byte(nil), strings.TrimPrefix(text, "0x")
	for rest != "" {
		n := 0
		for n < len(rest) && n < 2 && isHex(rest[n]) {
			n++
		}
		c, err := strconv.ParseUint(rest[:n], 16, 8)
		if err != nil {
			break
		}
		b, rest = append(b, byte(c)), rest[n:]
		if len(rest) > 1 && strings.IndexByte(":-.", rest[0]) >= 0 {
			rest = rest[1:]
		}
	}
	if rest != "" || len(b) == 0 {
		return Value{}, fmt.Errorf("%q are no bytes: 16:03:01, 16-03-01, 160301 or a string in quotes", text)
	}
	return bytesValue(b), nil
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

// dateForms are those of ISO 8601 and Wireshark's older one. Without a zone a
// date is local.
var dateForms = [...]string{
	"2006-01-02T15:04:05Z07:00", "2006-01-02 15:04:05Z07:00", "2006-01-02T15:04:05", "2006-01-02 15:04:05",
	"2006-01-02T15:04", "2006-01-02 15:04", "2006-01-02", "Jan 2, 2006 15:04:05 MST", "Jan 2, 2006 15:04:05",
}

// parseTime reads seconds, with up to nine decimals, or a date.
func parseTime(text string) (Value, error) {
	if ns, ok := parseSeconds(text); ok {
		return timeValue(ns), nil
	}
	for _, form := range dateForms {
		if t, err := time.ParseInLocation(form, text, time.Local); err == nil && t.Year() > 1677 && t.Year() < 2262 {
			return timeValue(t.UnixNano()), nil
		}
	}
	return Value{}, fmt.Errorf(`%q is no time: seconds such as 0.25, or a date such as "2026-11-28 10:30:00"`, text)
}

func parseSeconds(text string) (ns int64, ok bool) {
	digits, negative := strings.CutPrefix(text, "-")
	whole, decimals, dot := strings.Cut(digits, ".")
	if len(decimals) > 9 || dot && decimals == "" || whole == "" && !dot {
		return 0, false
	}
	sec, err := strconv.ParseUint("0"+whole, 10, 63)
	frac, ferr := strconv.ParseUint("0"+decimals+strings.Repeat("0", 9-len(decimals)), 10, 63)
	if err != nil || ferr != nil || sec > 1<<33 {
		return 0, false
	}
	if ns = int64(sec*1e9 + frac); negative {
		ns = -ns
	}
	return ns, true
}

// parseAddr reads an address, or a network in CIDR notation.
func (d Domain) parseAddr(text string, form Form) (Value, error) {
	v, err := parseNetwork(text)
	switch {
	case form != Bare:
		err = errors.New("an address stands without quotes")
	case err == nil && d.Family == 4 && !v.addr.Is4(), err == nil && d.Family == 6 && v.addr.Is4():
		err = errors.New("of the other IP version")
	}
	if err != nil {
		takes := "10.0.0.1, 10.0.0.0/8, fd00::1 or fd00::/8"
		switch d.Family {
		case 4:
			takes = "10.0.0.1 or 10.0.0.0/8"
		case 6:
			takes = "fd00::1 or fd00::/8"
		}
		return Value{}, fmt.Errorf("%s is no address such as %s: %w", quoted(text, form), takes, err)
	}
	return v, nil
}

func parseNetwork(text string) (Value, error) {
	if !strings.Contains(text, "/") {
		a, err := netip.ParseAddr(text)
		if err != nil || a.Zone() != "" {
			return Value{}, errors.New("it cannot be read")
		}
		return addrValue(a), nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return Value{}, errors.New("it cannot be read")
	}
	v := addrValue(p.Masked().Addr())
	v.num = 1 + uint64(p.Bits())
	return v, nil
}
