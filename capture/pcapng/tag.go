package pcapng

import (
	"bytes"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"tundump/decode"
)

// Tag is what a comment of tundump's says about the block that it stands in,
// or about something that happened and is no packet:
//
//	tundump:1 T<tunnel> #<message> <c2s|s2c> off=<offset> [len=<length>] [flags=<a,b,…>] [<key>=<value> …]
//	tcpinfo rtt=1.2ms retrans=0 unacked=3 <c2s|s2c> time=<seconds> …
//	blocked 14ms <c2s|s2c> time=<seconds> …
//
// The first comment of a block is the block's own tag and begins with
// "tundump:1". A block whose own tag has neither a message number nor event=
// stands for nothing but itself: an acknowledgement, say. Comments behind the
// first are events that have no block of their own; they carry time=. Number
// and offset are 0 where there is neither.
//
// The keys are those of INTERFACE.md and
//
//	event=     what happened, if the block is no message: decode.Kind's names
//	sides=     client, server, both or none: on which connections the bytes
//	           were seen, where the interface alone does not say it
//	twin=1     the block repeats what another one stands for, on the other side
//	part=N     the block continues the record that N blocks before it begin
//	pkt= id=   an inner packet: its index in the message, and the message's
//	           identifier
//	since=     the tunnel was open before the file began: when it was opened
//	client= listener= upstream= local= remote= by= reason= rtt= retrans=
//	unacked= wait=   the fields of decode.Detail
type Tag struct {
	Kind   decode.Kind // 0: the block stands for no event
	Dir    decode.Direction
	Flags  decode.Flags // the two sides are in it only if Sides is set
	Sides  bool         // the tag says on which sides the bytes were seen
	Twin   bool
	Inner  bool // an inner packet: Packet and Identifier say which
	Timed  bool // the tag has a Time of its own; without, the block's applies
	Tunnel uint32
	Part   int
	Packet int

	Identifier int64
	Number     int64
	Offset     int64
	Time       int64 // nanoseconds since the Unix epoch
	Len        int64 // of the whole record or gap, in bytes; 0 if not stated
	Detail     *decode.Detail
}

const (
	tagWord     = "tundump:1"
	tcpInfoWord = "tcpinfo"
	blockedWord = "blocked"

	bothSides = decode.OnClientSide | decode.OnServerSide

	// maxText bounds a value that may come from the network, so that the
	// comment fits its option even if every character has to be escaped.
	maxText = 4096
)

// Append appends the comment. It does not allocate unless dst has to grow.
func (t *Tag) Append(dst []byte) []byte {
	d := t.Detail
	if d == nil {
		d = &none
	}
	switch t.Kind {
	case decode.TCPInfo:
		dst = appendDuration(dst, tcpInfoWord+" rtt=", d.RTT)
		dst = appendInt(dst, " retrans=", int64(d.Retrans))
		dst = appendInt(dst, " unacked=", int64(d.Unacked))
	case decode.Blocked:
		dst = appendDuration(dst, blockedWord+" ", d.Wait)
	default:
		dst = appendInt(dst, tagWord+" T", int64(t.Tunnel))
		dst = appendInt(dst, " #", t.Number)
	}
	dst = append(append(dst, ' '), t.Dir.String()...)
	if !t.IsFact() || t.Offset != 0 {
		dst = appendInt(dst, " off=", t.Offset)
	}
	if t.Len != 0 {
		dst = appendInt(dst, " len=", t.Len)
	}
	dst = t.appendFlags(dst)
	if t.Timed {
		dst = appendTime(dst, " time=", t.Time)
	}
	switch {
	case t.Inner:
		dst = appendInt(dst, " pkt=", int64(t.Packet))
		dst = appendInt(dst, " id=", t.Identifier)
	case t.Twin:
		dst = append(dst, " twin=1"...)
	}
	if t.Part != 0 {
		dst = appendInt(dst, " part=", int64(t.Part))
	}
	return t.appendDetail(dst, d)
}

var none decode.Detail // stays empty

// IsFact reports whether the tag is of the form that names no tunnel, because
// the block that it stands in does.
func (t *Tag) IsFact() bool { return t.Kind == decode.TCPInfo || t.Kind == decode.Blocked }

func appendInt(dst []byte, key string, v int64) []byte {
	return strconv.AppendInt(append(dst, key...), v, 10)
}

// appendDuration writes Go's form of a duration in ASCII.
func appendDuration(dst []byte, key string, d time.Duration) []byte {
	dst = append(dst, key...)
	s := d.String()
	if n, ok := strings.CutSuffix(s, "µs"); ok {
		return append(append(dst, n...), "us"...)
	}
	return append(dst, s...)
}

// appendTime writes a time as tools print it: seconds, and nine decimals.
func appendTime(dst []byte, key string, ns int64) []byte {
	dst = append(dst, key...)
	if ns < 0 {
		dst, ns = append(dst, '-'), -ns
	}
	dst = strconv.AppendUint(dst, uint64(ns)/1e9, 10)
	dst = append(dst, '.')
	for unit, rest := uint64(1e8), uint64(ns)%1e9; unit > 0; unit /= 10 {
		dst = append(dst, '0'+byte(rest/unit%10))
	}
	return dst
}

func (t *Tag) appendFlags(dst []byte) []byte {
	mark := len(dst)
	dst = append(dst, " flags="...)
	empty := len(dst)
	dst = t.Flags.AppendNames(dst)
	if name := t.kindFlag(); name != "" {
		if len(dst) > empty {
			dst = append(dst, ',')
		}
		dst = append(dst, name...)
	}
	if len(dst) == empty {
		dst = dst[:mark]
	}
	if t.Sides {
		dst = append(append(dst, " sides="...), sideNames[t.Flags&bothSides>>sideShift]...)
	}
	return dst
}

// kindFlag is the flag that stands for the kind of bytes that are no record.
func (t *Tag) kindFlag() string {
	if t.Kind == decode.Unframed || t.Kind == decode.Gap {
		return t.Kind.String()
	}
	return ""
}

const sideShift = 6 // of decode.OnClientSide

var sideNames = [4]string{"none", "client", "server", "both"}

func (t *Tag) appendDetail(dst []byte, d *decode.Detail) []byte {
	switch t.Kind {
	case 0, decode.Record, decode.Gap, decode.TCPInfo, decode.Blocked:
		return dst
	case decode.Unframed:
	default:
		dst = append(append(dst, " event="...), t.Kind.String()...)
	}
	dst = appendAddr(dst, " client=", d.Client)
	dst = appendAddr(dst, " listener=", d.Listener)
	dst = appendText(dst, " upstream=", d.Upstream)
	dst = appendAddr(dst, " local=", d.Local)
	dst = appendAddr(dst, " remote=", d.Remote)
	if d.Since != 0 {
		dst = appendTime(dst, " since=", d.Since)
	}
	dst = appendText(dst, " by=", d.By.String())
	return appendText(dst, " reason=", d.Reason)
}

func appendAddr(dst []byte, key string, a netip.AddrPort) []byte {
	if !a.IsValid() {
		return dst
	}
	mark := len(dst)
	dst = append(dst, key...)
	value := len(dst)
	dst = a.AppendTo(dst)
	if plain(dst[value:]) {
		return dst
	}
	return appendText(dst[:mark], key, a.String()) // a zone can be any text
}

// ParseTag reads a comment. It reports false for one that is none of
// tundump's; of those that are, it skips what it does not know. Kind Record is
// a numbered tag that says nothing else. A comment of the facts' form has no
// Tunnel: it is the block's. Detail is allocated if the comment has one.
func ParseTag(comment []byte, t *Tag) bool {
	*t = Tag{}
	word, rest := cutSpace(comment)
	switch string(word) {
	case tagWord:
	case tcpInfoWord:
		t.Kind = decode.TCPInfo
		t.detail()
	case blockedWord:
		t.Kind = decode.Blocked
		word, rest = cutSpace(rest)
		t.detail().Wait = parseDuration(word)
	default:
		return false
	}
	for len(rest) > 0 {
		at := len(comment) - len(rest)
		word, rest = cutSpace(rest)
		if key, value, ok := bytes.Cut(word, equals); ok {
			if len(value) > 0 && value[0] == '"' {
				value, rest = cutQuoted(comment, at+len(key)+1)
			}
			t.set(key, value)
			continue
		}
		t.setWord(word)
	}
	if t.Kind == 0 && t.Number != 0 {
		t.Kind = decode.Record
	}
	return true
}

var equals = []byte("=")

func cutSpace(b []byte) (word, rest []byte) {
	if i := bytes.IndexByte(b, ' '); i >= 0 {
		return b[:i], b[i+1:]
	}
	return b, nil
}

func (t *Tag) setWord(word []byte) {
	switch {
	case len(word) == 0:
	case word[0] == 'T':
		t.Tunnel = uint32(parseInt(word[1:]))
	case word[0] == '#':
		t.Number = parseInt(word[1:])
	case string(word) == "s2c":
		t.Dir = decode.ServerToClient
	}
}

func (t *Tag) set(key, value []byte) {
	switch string(key) {
	case "off":
		t.Offset = parseInt(value)
	case "len":
		t.Len = parseInt(value)
	case "flags":
		t.setFlags(value)
	case "sides":
		t.setSides(value)
	case "time":
		t.Time, t.Timed = parseTime(value), true
	case "twin":
		t.Twin = string(value) == "1"
	case "part":
		t.Part = int(parseInt(value))
	case "pkt":
		t.Packet, t.Inner = int(parseInt(value)), true
	case "id":
		t.Identifier = parseInt(value)
	case "event":
		if k, ok := decode.KindOf(string(value)); ok {
			t.Kind = k
			if k != decode.Packet {
				t.detail()
			}
		}
	default:
		t.setDetail(key, value)
	}
}

func (t *Tag) setDetail(key, value []byte) {
	switch string(key) {
	case "client":
		t.detail().Client = parseAddr(value)
	case "listener":
		t.detail().Listener = parseAddr(value)
	case "upstream":
		t.detail().Upstream = parseText(value)
	case "local":
		t.detail().Local = parseAddr(value)
	case "remote":
		t.detail().Remote = parseAddr(value)
	case "since":
		t.detail().Since = parseTime(value)
	case "by":
		t.detail().By = decode.PartyOf(string(value))
	case "reason":
		t.detail().Reason = parseText(value)
	case "rtt":
		t.detail().RTT = parseDuration(value)
	case "retrans":
		t.detail().Retrans = uint32(parseInt(value))
	case "unacked":
		t.detail().Unacked = uint32(parseInt(value))
	case "wait":
		t.detail().Wait = parseDuration(value)
	}
}

func (t *Tag) detail() *decode.Detail {
	if t.Detail == nil {
		t.Detail = new(decode.Detail)
	}
	return t.Detail
}

func (t *Tag) setFlags(list []byte) {
	for len(list) > 0 {
		name := list
		if i := bytes.IndexByte(list, ','); i >= 0 {
			name, list = list[:i], list[i+1:]
		} else {
			list = nil
		}
		switch string(name) {
		case "unframed":
			t.Kind = decode.Unframed
		case "gap":
			t.Kind = decode.Gap
		default:
			t.Flags |= decode.FlagOf(string(name))
		}
	}
}

func (t *Tag) setSides(value []byte) {
	for i, name := range sideNames {
		if string(value) == name {
			t.Flags |= decode.Flags(i) << sideShift
			t.Sides = true
		}
	}
}

// parseInt and its like return 0 for what is no number: a tag says what it
// can.
func parseInt(b []byte) int64 {
	if n, ok := parseDigits(b); ok {
		return n
	}
	n, err := strconv.ParseInt(string(b), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// parseDigits is parseInt for what nearly all numbers are: opening a large
// file reads several for each row.
func parseDigits(b []byte) (n int64, ok bool) {
	if len(b) == 0 || len(b) > 18 {
		return 0, false
	}
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

func parseTime(b []byte) int64 {
	whole, decimals, _ := bytes.Cut(b, []byte("."))
	ns := parseInt(whole)
	if ns > 1<<33 || ns < -1<<33 {
		return 0
	}
	ns *= 1e9
	unit := int64(1e8)
	if len(whole) > 0 && whole[0] == '-' {
		unit = -unit
	}
	for _, c := range decimals {
		if c < '0' || c > '9' {
			break
		}
		ns += int64(c-'0') * unit
		unit /= 10
	}
	return ns
}

func parseDuration(b []byte) time.Duration {
	d, err := time.ParseDuration(string(b))
	if err != nil {
		return 0
	}
	return d
}

func parseAddr(b []byte) netip.AddrPort {
	a, err := netip.ParseAddrPort(parseText(b))
	if err != nil {
		return netip.AddrPort{}
	}
	return a
}
