package packet

// nbns yields the header, the questions and the records of a NetBIOS name
// message. A name that is not encoded as they should be ends them.
//
// Source: RFC 1002, section 4.2.
func (e *emitter) nbns() {
	if !confirmsNBNS(e.b) {
		return
	}
	e.uint("nbns.id", "Transaction ID", 0, 2, 4)
	flags := e.uint("nbns.flags", "Flags", 2, 2, 4)
	response := flags>>15 == 1
	bit := func(name, label string, shift int) { e.bits(name, label, 2, 2, flags>>shift&1, KindBool) }
	bit("nbns.flags.response", "Response", 15)
	e.emit(Item{Name: "nbns.flags.opcode", Label: "Opcode", Kind: KindUint, Num: flags >> 11 & 15, Depth: 1, Word: nbnsOpcode(int(flags >> 11 & 15))}, 2, 2)
	if response {
		bit("nbns.flags.authoritative", "Authoritative", 10)
	}
	bit("nbns.flags.truncated", "Truncated", 9)
	bit("nbns.flags.recdesired", "Recursion desired", 8)
	if response {
		bit("nbns.flags.recavail", "Recursion available", 7)
	}
	bit("nbns.flags.broadcast", "Broadcast", 4)
	if response {
		e.bits("nbns.flags.rcode", "Reply code", 2, 2, flags&15, KindUint)
	}
	var counts [4]int
	for i, c := range [...][2]string{
		{"nbns.count.queries", "Questions"}, {"nbns.count.answers", "Answer RRs"},
		{"nbns.count.auth_rr", "Authority RRs"}, {"nbns.count.add_rr", "Additional RRs"},
	} {
		counts[i] = int(e.uint(c[0], c[1], 4+2*i, 2, 0))
	}
	off, ok := dnsHeaderLen, true
	for i := 0; i < counts[0] && ok && !e.done; i++ {
		off, ok = e.nbnsName("Query", off)
	}
	for i := 0; i < counts[1]+counts[2]+counts[3] && ok && !e.done; i++ {
		if off, ok = e.nbnsName("Record", off); ok {
			off = e.nbnsRecord(off)
		}
	}
}

// nbnsName yields the name at off, its type and its class; next is where they
// end.
func (e *emitter) nbnsName(label string, off int) (next int, ok bool) {
	at, end := off, 0
	if p := uint16At(e.b, off); p >= 0xc000 { // a pointer, to a name that is not one
		at, end = p&0x3fff, off+2
	}
	name, next, ok := nbnsName(e.b, at)
	if !ok {
		return off, false
	}
	if end > 0 {
		next = end
	}
	e.line(label, off, next-off)
	e.depth = 1
	e.emit(Item{Name: "nbns.name", Label: "Name", Kind: KindSafe, Raw: name}, off, next-off)
	e.word("nbns.type", "Type", next, 2, 0, nbnsTypeName)
	e.uint("nbns.class", "Class", next+2, 2, 0)
	e.depth = 0
	return next + 4, next+4 <= len(e.b)
}

func nbnsTypeName(v int) string {
	switch v {
	case 1:
		return "A"
	case 2:
		return "NS"
	case 10:
		return "NULL"
	case 0x20:
		return "NB"
	case 0x21:
		return "NBSTAT"
	}
	return ""
}

// nbnsRecord yields what stands behind a record's class, at off.
func (e *emitter) nbnsRecord(off int) (next int) {
	e.depth = 1
	e.uint("nbns.ttl", "Time to live", off, 4, 0)
	n := int(e.uint("nbns.data_length", "Data length", off+4, 2, 0))
	const entry = 6
	if uint16At(e.b, off-4) == 0x20 {
		for at := off + 6; at+entry <= min(off+6+n, len(e.b)) && !e.done; at += entry {
			flags := e.uint("nbns.nb_flags", "Name flags", at, 2, 4)
			e.bits("nbns.nb_flags.group", "Name type: group", at, 2, flags>>15, KindBool)
			e.bits("nbns.nb_flags.ont", "ONT", at, 2, flags>>13&3, KindUint)
			e.addr("nbns.addr", "Addr", at+2, 4)
		}
	}
	e.depth = 0
	return off + 6 + n
}
