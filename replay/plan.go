package replay

import (
	"hash/maphash"
	"net/netip"
	"time"

	"tundump/decode"
	"tundump/decode/field"
)

// Options say what of a recording is played, and how. The zero value plays
// the packets that the client sent, all of them, at the recorded pace.
type Options struct {
	// Dir is the side that is played; what the other one sent is expected.
	Dir decode.Direction
	// Tunnel is the tunnel to play; 0 is all, packets without one among them.
	Tunnel uint32
	// Messages makes steps of messages that carry no packets too.
	Messages bool
	// SkipTCP leaves out the client's TCP: sequence numbers are the other
	// side's to choose, so what was recorded says nothing to a live server.
	SkipTCP bool
	// Flows makes dialogues of the TCP connections, which are opened again
	// instead, those of app proxies among them. It goes with Messages.
	Flows bool
	// Select reports whether a packet of the side that is played is sent, or a
	// message of an app-proxy connection; nil is all. A connection is opened
	// again if it selects anything of it. It is not asked about the tunnel's own
	// messages, without which nothing can be sent. The row is valid during the
	// call.
	Select func(*field.Row) bool
	// Rewrite appends to dst what takes the place of a packet, of either side:
	// everything is sent and compared as changed. nil changes nothing. It must
	// return the same for the same packet.
	Rewrite func(dst, pkt []byte, dir decode.Direction) []byte
	// MTU is the largest packet that can be sent, in bytes; 0 is any size.
	// Larger ones are counted in Plan.Oversize. Split makes several of one,
	// and returns none of what must not be cut. For that TooBig appends to dst
	// what a router would tell its sender, who is told that when it is due:
	// this is the answer then, and nothing is sent. What neither has something
	// for is left out, and so is all if they are nil.
	MTU    int
	Split  func(pkt []byte, mtu int) [][]byte
	TooBig func(dst, pkt []byte, mtu int) (answer []byte, ok bool)

	Pace Pace
	// Wait is how long nothing may come before what is still expected counts
	// as unanswered; 0 is a second. Late is how much longer than in the
	// recording an answer may take; 0 is a second.
	Wait, Late time.Duration
	// Preload is how many bytes of packets are kept in memory instead of being
	// read again; 0 is 64 MiB, below 0 none.
	Preload int64
	Rules   Rules

	loose bool // for Diff: no ports and identifiers in keys
}

func (o *Options) setDefaults() {
	if o.Wait == 0 {
		o.Wait = time.Second
	}
	if o.Late == 0 {
		o.Late = time.Second
	}
	if o.Preload == 0 {
		o.Preload = 64 << 20
	}
}

// Plan is a recording made ready: what is sent when, and what answer is
// expected by what. It does not change once it is made, but by its Controller;
// it is played by one [Play] at a time.
type Plan struct {
	Steps    []Step
	Expected []Expected
	Control  *Controller

	Tunnels  []TunnelInfo // those of the recording that are played, in order; at most maxTunnels
	Duration time.Duration
	Bytes    int64 // of all steps
	// Dests and Sources count the packets to and from each address; at most
	// maxDests of them, other destinations are in MoreDests.
	Dests     map[netip.Addr]int64
	Sources   map[netip.Addr]int64
	MoreDests int64

	Largest     int   // packet, in bytes
	Oversize    int64 // packets that do not fit the MTU, of those that were selected
	FirstLarge  int64 // number of the first of them
	Cut, TooBig int64 // of them, those that are cut, and those whose sender is told; the others are left out
	Damaged     int64 // records that could not be read, gaps and bytes that are no record
	FirstBroken string
	Unasked     int64 // packets of the other side that answer nothing that is sent
	Fragments   int64 // packets of the other side that are parts of a datagram, which is compared as a whole
	TCP         int64 // segments that are sent after the first of their connection
	SkippedTCP  int64 // segments that SkipTCP left out

	// Dialogues are the connections that are opened again, in order.
	Dialogues      []*Dialogue
	LargeDialogues int64 // those that are left out because they do not fit into memory
	LostDialogues  int64 // those that are left out because they were not captured whole

	source Source
	opt    Options
	seed   maphash.Seed
	keys   map[key]int32 // to chains
	chains []chain
	memory [][]byte         // of each step, if all fit
	sums   []uint64         // of each step, for Diff
	asked  []bool           // of each step: whether it has a key; for Diff
	splits map[int32][]byte // by step, of packets that were split
	joined map[place][]byte // whole datagrams, by the place of the last of their fragments
}

// Step is one thing to be sent.
type Step struct {
	At     time.Duration // since the first event of the recording that is played
	Number int64         // of the packet in the recording, or of the message
	Row    int32         // in the source
	Index  int32         // of the packet in its message; -1: the message itself
	Part   int32         // of a packet that was split
	Len    int32         // bytes
	// Wait is the expected item that came last before this step, -1 if none:
	// Pace.Answer waits for it.
	Wait int32
	// After is the expected item without which it makes no sense at any pace,
	// -1 if there is none: an app-proxy connection takes data once it is open,
	// and brings no more once it is closed.
	After int32
	// Answer is the first expected item that this step asks for, -1 if none.
	Answer int32
	Tunnel uint32
	same   int32 // the next step of the same key, -1 if none
}

// Expected is one thing that the other side sent in answer to a step.
type Expected struct {
	At     time.Duration // as in Step
	Number int64
	Row    int32
	Index  int32
	Cause  int32 // the step that it answers
	next   int32 // the next one of the same key, -1 if none
	sum    uint64
}

// TunnelInfo is what a recording says of a tunnel.
type TunnelInfo struct {
	Number uint32
	// Record is the last openResult that had a configuration, else the first
	// message of the server's that had one; nil if there was none.
	Record  []byte
	Packets [2]int64 // by direction
	// Clients counts the packets that the client sent from each address, and
	// those that it was sent; at most maxDests.
	Clients map[netip.Addr]int64
}

// place is where a packet stands: its row, and its index in it.
type place struct{ row, index int32 }

// chain is what has one key: the steps that ask and what is expected.
type chain struct {
	class      class
	head, tail int32 // expected items
	open       int32 // the oldest step without an answer, -1 if none; while compiling
	first      int32 // the oldest step
	last       int32 // the newest step
}

const (
	maxTunnels = 1024
	maxDests   = 4096
	maxSteps   = 1<<31 - 1
)
