package packet

// Problem is what is wrong with a packet. The first group concerns IP itself,
// see [Problem.IP].
type Problem uint8

const (
	NoProblem Problem = iota

	ProblemEmpty         // no bytes
	ProblemVersion       // neither 4 nor 6
	ProblemHeaderCut     // ends inside the IP header or its options
	ProblemHeaderLen     // IPv4 header length below 20
	ProblemLengthBelow   // IPv4 total length below the header length
	ProblemLengthZero    // length field 0, though there is a payload
	ProblemCut           // shorter than its length field says
	ProblemTrailing      // longer than its length field says
	ProblemHeaderSum     // wrong IPv4 header checksum
	ProblemExtensionCut  // ends inside an IPv6 extension header
	ProblemFragmentRange // a fragment that reaches past 65,535 bytes
	problemLastIP

	ProblemTransportCut // ends inside the transport header or its options
	ProblemTCPHeaderLen // TCP data offset below 20 bytes
	ProblemTCPOption    // an option whose length does not fit
	ProblemUDPLength    // UDP length below 8 or past the IP payload
	ProblemTransportSum // wrong transport checksum
)

var problemTexts = [...]string{
	ProblemEmpty:         "the packet is empty",
	ProblemVersion:       "the IP version is neither 4 nor 6",
	ProblemHeaderCut:     "the packet ends inside the IP header",
	ProblemHeaderLen:     "the IPv4 header length is less than 20 bytes",
	ProblemLengthBelow:   "the IPv4 total length is less than the header length",
	ProblemLengthZero:    "the IP length field is 0",
	ProblemCut:           "the packet is shorter than its IP header says",
	ProblemTrailing:      "bytes follow the end of the packet that its IP header gives",
	ProblemHeaderSum:     "the IPv4 header checksum is wrong",
	ProblemExtensionCut:  "the packet ends inside an IPv6 extension header",
	ProblemFragmentRange: "the fragment reaches past the 65,535 bytes of a datagram",
	ProblemTransportCut:  "the packet ends inside the transport header",
	ProblemTCPHeaderLen:  "the TCP header length is less than 20 bytes",
	ProblemTCPOption:     "the length of a TCP option is wrong",
	ProblemUDPLength:     "the UDP length does not fit the packet",
	ProblemTransportSum:  "the transport checksum is wrong",
}

// String says what is wrong, in a few words for people; "" for none.
func (p Problem) String() string {
	if int(p) < len(problemTexts) {
		return problemTexts[p]
	}
	return "unknown problem"
}

// IP reports whether p makes the packet wrong as an IP packet, rather than
// wrong in its transport header only.
func (p Problem) IP() bool { return p > NoProblem && p < problemLastIP }

// Code returns the code of the finding that p makes: "inner-ip",
// "inner-transport", or "" for no problem.
func (p Problem) Code() string {
	switch {
	case p == NoProblem:
		return ""
	case p.IP():
		return "inner-ip"
	}
	return "inner-transport"
}
