package session

import (
	"cmp"
	"slices"
	"sync"

	"tundump/decode"
	"tundump/decode/field"
	"tundump/decode/packet"
)

// Finding returns the finding that packet i makes by itself; ok is false if
// nothing is wrong with it.
func (r *Row) Finding(i int) (f field.Finding, ok bool) {
	return packetFinding(r.Packets[i].Facts.Problem)
}

func packetFinding(p packet.Problem) (f field.Finding, ok bool) {
	if p == packet.NoProblem {
		return field.Finding{}, false
	}
	return field.Finding{Severity: decode.Warning.String(), Code: p.Code(), Text: p.String()}, true
}

func findingOf(p *decode.Problem) field.Finding {
	return field.Finding{Severity: p.Severity.String(), Code: string(p.Code), Text: p.String()}
}

// Finding is what is wrong in one way with one tunnel, or worth knowing.
type Finding struct {
	Severity    decode.Severity
	Code        string
	Tunnel      uint32 // 0: none, or several
	Text        string // of the first; may quote what came over the wire
	Count       int64
	First, Last int64 // nanoseconds since the Unix epoch
	// Proof are the positions in List of some of the rows that show it, oldest
	// first.
	List  List
	Proof []int
}

const (
	maxFindings = 4096
	maxProof    = 100
)

type findingKey struct {
	code   string
	tunnel uint32
}

// findings gathers what is wrong: one entry for each code in each tunnel, and
// when there are too many of those, for each code.
type findings struct {
	mu  sync.Mutex
	all map[findingKey]*Finding
}

// take notes what is wrong with a row.
func (fs *findings) take(v *View, r *Row) {
	if r.Message != nil {
		for i := range r.Message.Problems {
			p := &r.Message.Problems[i]
			fs.add(p.Severity, string(p.Code), r, Messages, v.messages.n-1, p)
		}
	}
	for i := range r.Packets {
		if p := r.Packets[i].Facts.Problem; p != packet.NoProblem {
			fs.add(decode.Warning, p.Code(), r, Packets, int(r.FirstPacket)-1+i, p)
		}
	}
}

func (fs *findings) add(s decode.Severity, code string, r *Row, l List, pos int, text interface{ String() string }) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	k := findingKey{code, r.Event.Tunnel}
	f := fs.all[k]
	if f == nil && len(fs.all) >= maxFindings {
		k.tunnel = 0
		f = fs.all[k]
	}
	if f == nil {
		if fs.all == nil {
			fs.all = make(map[findingKey]*Finding)
		}
		f = &Finding{Severity: s, Code: code, Tunnel: k.tunnel, Text: text.String(), First: r.Event.Time, List: l}
		fs.all[k] = f
	}
	f.Severity = max(f.Severity, s)
	f.Count++
	f.Last = r.Event.Time
	if f.List == l && len(f.Proof) < maxProof && (len(f.Proof) == 0 || f.Proof[len(f.Proof)-1] != pos) {
		f.Proof = append(f.Proof, pos)
	}
}

// Findings returns the findings so far, the gravest first. They are the
// caller's, but for what they point to, which is shared and does not change.
func (v *View) Findings() []Finding {
	v.findings.mu.Lock()
	list := make([]Finding, 0, len(v.findings.all))
	for _, f := range v.findings.all {
		shown := *f
		shown.Proof = f.Proof[:len(f.Proof):len(f.Proof)]
		list = append(list, shown)
	}
	v.findings.mu.Unlock()
	slices.SortFunc(list, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(b.Severity, a.Severity), cmp.Compare(b.Count, a.Count), cmp.Compare(a.Code, b.Code), cmp.Compare(a.Tunnel, b.Tunnel))
	})
	return list
}
