package sniff

import (
	"math"

	"golang.org/x/net/bpf"
)

// Offsets in the headers that the filter reads.
const (
	ipv4Fragment = 6
	ipv4Protocol = 9
	ipv6Next     = 6
	ipv6Header   = 40

	protoHopByHop = 0
	protoTCP      = 6
	protoRouting  = 43
	protoFragment = 44
	protoDstOpts  = 60

	// acceptAll is how much of a packet the filter lets through.
	acceptAll = math.MaxUint32 >> 1
)

// program is the kernel's filter, for packets that begin with the IP header:
// TCP from or to one of the ports, or any TCP if there is none. Fragments, and
// IPv6 packets with extension headers, it lets through: their ports are looked
// for later.
func program(o Options) []bpf.Instruction {
	if o.Bare {
		return []bpf.Instruction{bpf.RetConstant{Val: acceptAll}}
	}
	p := &assembler{}
	p.add(bpf.LoadAbsolute{Off: 0, Size: 1})
	p.add(bpf.ALUOpConstant{Op: bpf.ALUOpShiftRight, Val: 4})
	p.jump(bpf.JumpEqual, 6, "v6")
	p.unless(bpf.JumpEqual, 4, "reject")

	p.add(bpf.LoadAbsolute{Off: ipv4Protocol, Size: 1})
	p.unless(bpf.JumpEqual, protoTCP, "reject")
	p.add(bpf.LoadAbsolute{Off: ipv4Fragment, Size: 2})
	p.jump(bpf.JumpBitsSet, 0x3fff, "accept")
	p.add(bpf.LoadMemShift{Off: 0}) // X is the header's length
	p.ports(o.Ports, func(off uint32) bpf.Instruction { return bpf.LoadIndirect{Off: off, Size: 2} })

	p.label("v6")
	p.add(bpf.LoadAbsolute{Off: ipv6Next, Size: 1})
	for _, extension := range []uint32{protoHopByHop, protoRouting, protoFragment, protoDstOpts} {
		p.jump(bpf.JumpEqual, extension, "accept")
	}
	p.unless(bpf.JumpEqual, protoTCP, "reject")
	p.ports(o.Ports, func(off uint32) bpf.Instruction { return bpf.LoadAbsolute{Off: ipv6Header + off, Size: 2} })

	p.label("accept")
	p.add(bpf.RetConstant{Val: acceptAll})
	p.label("reject")
	p.add(bpf.RetConstant{Val: 0})
	return p.link()
}

// assembler puts a program with forward jumps together.
type assembler struct {
	code   []bpf.Instruction
	labels map[string]int
	jumps  map[int]branch
}

// branch is a conditional jump to a label.
type branch struct {
	test   bpf.JumpTest
	val    uint32
	to     string
	unless bool
}

func (p *assembler) add(i bpf.Instruction) { p.code = append(p.code, i) }

func (p *assembler) label(name string) {
	if p.labels == nil {
		p.labels = make(map[string]int)
	}
	p.labels[name] = len(p.code)
}

func (p *assembler) branch(b branch) {
	if p.jumps == nil {
		p.jumps = make(map[int]branch)
	}
	p.jumps[len(p.code)] = b
	p.add(nil)
	p.add(nil)
}

func (p *assembler) jump(test bpf.JumpTest, val uint32, to string) {
	p.branch(branch{test: test, val: val, to: to})
}

func (p *assembler) unless(test bpf.JumpTest, val uint32, to string) {
	p.branch(branch{test: test, val: val, to: to, unless: true})
}

// ports accepts if the source or the destination port, which load reads at
// offsets 0 and 2 of the TCP header, is one of ports; else it rejects.
func (p *assembler) ports(ports []uint16, load func(off uint32) bpf.Instruction) {
	for _, off := range []uint32{0, 2} {
		if len(ports) == 0 {
			break
		}
		p.add(load(off))
		for _, port := range ports {
			p.jump(bpf.JumpEqual, uint32(port), "accept")
		}
	}
	val := uint32(acceptAll)
	if len(ports) > 0 {
		val = 0
	}
	p.add(bpf.RetConstant{Val: val})
}

// link fills in the jumps: a conditional one over a long one, because a
// conditional jump reaches no farther than 255 instructions.
func (p *assembler) link() []bpf.Instruction {
	for at, b := range p.jumps {
		over := bpf.JumpIf{Cond: b.test, Val: b.val, SkipFalse: 1}
		if b.unless {
			over.SkipTrue, over.SkipFalse = 1, 0
		}
		p.code[at] = over
		p.code[at+1] = bpf.Jump{Skip: uint32(p.labels[b.to] - at - 2)}
	}
	return p.code
}
