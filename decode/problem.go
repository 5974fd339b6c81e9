package decode

import (
	"fmt"

	"tundump/decode/bplist"
)

// Outcome is what a genuine end does with what it reads.
type Outcome uint8

const (
	Unstated     Outcome = iota // not that end's to read
	Accepts                     // takes it
	Ignores                     // goes on as if it had not come
	NoAnswer                    // ignores it although the other end waits for an answer
	ClosesTunnel                // closes the tunnel without a word
	Crashes                     // the process dies, and every tunnel of a server with it
	FailsStart                  // the client's tunnel does not start
	Undefined                   // the Swift code does not say; it may stall
)

var outcomeNames = [...]string{"", "accepts it", "ignores it", "gives no answer", "closes the tunnel", "crashes", "fails to start the tunnel", "does what its code leaves undefined"}

// String returns the outcome as a verb phrase, "" if unstated.
func (o Outcome) String() string { return outcomeNames[o] }

// Severity says how much a problem matters.
type Severity uint8

const (
	Note    Severity = iota // worth knowing
	Warning                 // legal, and often a mistake
	Error                   // something is lost
)

var severityNames = [...]string{"note", "warning", "error"}

func (s Severity) String() string { return severityNames[s] }

// A Problem is something that is wrong with a message, or worth knowing about
// it.
type Problem struct {
	Code     Code
	Severity Severity
	Span     bplist.Span // of the bytes that show it, in the record
	Text     string      // one line; may quote what came over the wire, so escape it
	Receiver Party       // who reads it: the server for c2s, the client for s2c
	Outcome  Outcome     // what the genuine receiver does
}

// String returns the text and what follows from it.
func (p Problem) String() string {
	if p.Outcome == Unstated || p.Outcome == Accepts {
		return p.Text
	}
	return p.Text + ": the genuine " + p.Receiver.String() + " " + p.Outcome.String()
}

// Code names a kind of problem for machines.
type Code string

const (
	ProblemOversize        Code = "oversize-message"
	ProblemEmpty           Code = "empty-message"
	ProblemNotPropertyList Code = "not-a-property-list"
	ProblemNotDictionary   Code = "not-a-dictionary"
	ProblemKeyType         Code = "key-type"
	ProblemNotBinary       Code = "not-binary-plist"
	ProblemOddVersion      Code = "odd-version"
	ProblemDepth           Code = "depth"
	ProblemDuplicateKey    Code = "duplicate-key"
	ProblemUnknownKeys     Code = "unknown-keys"
	ProblemStringEncoding  Code = "string-encoding"

	ProblemCommandMissing Code = "command-missing"
	ProblemCommandType    Code = "command-type"
	ProblemCommandUnknown Code = "command-unknown"
	ProblemIdentifier     Code = "identifier"
	ProblemDirection      Code = "direction"
	ProblemDNS            Code = "dns-unimplemented"

	ProblemOpenParameters       Code = "open-parameters"
	ProblemDialect              Code = "dialect-apple"
	ProblemResultCode           Code = "result-code"
	ProblemConfiguration        Code = "configuration"
	ProblemConfigurationMissing Code = "configuration-missing"
	ProblemCloseType            Code = "close-type"
	ProblemDataMissing          Code = "data-missing"
	ProblemDataType             Code = "data-type"
	ProblemPortRange            Code = "port-range"

	ProblemPacketsType   Code = "packets-type"
	ProblemProtocolsType Code = "protocols-type"
	ProblemCounts        Code = "packets-protocols-mismatch"
	ProblemPacketsEmpty  Code = "packets-empty"
	ProblemTooMany       Code = "too-many-packets"
	ProblemPacketSize    Code = "oversize-packet"
	ProblemFamily        Code = "protocol-number"
	ProblemInnerIP       Code = "inner-ip" // also what decode/packet says of a packet that is no sound IP

	ProblemUnknownIdentifier Code = "unknown-identifier"
	ProblemDuplicateOpen     Code = "duplicate-open"
	ProblemConnectionType    Code = "wrong-connection-type"
	ProblemTCPEndpoint       Code = "tcp-endpoint"
	ProblemUDPEndpoint       Code = "udp-endpoint"
	ProblemResume            Code = "resume-without-suspend"
)

// severity is how much it matters that a receiver does o because of c.
func (c Code) severity(o Outcome) Severity {
	switch {
	case o == ClosesTunnel || o == Crashes || o == FailsStart || o == NoAnswer:
		return Error
	case o == Ignores || o == Undefined:
		return Warning
	}
	switch c {
	case ProblemUnknownKeys, ProblemDialect, ProblemDNS, ProblemPacketsEmpty:
		return Note
	}
	return Warning
}

// note is like problem, for what is only worth knowing whatever follows.
func (m *Message) note(code Code, span bplist.Span, format string, args ...any) {
	n := len(m.Problems)
	m.problem(code, span, Accepts, Accepts, format, args...)
	for i := range m.Problems[n:] {
		m.Problems[n+i].Severity = Note
	}
}

// maxProblems bounds what one hostile message can make us write down.
const maxProblems = 64

// problem notes what is wrong with the payload bytes at span. The receiver's
// outcome is taken by the message's direction.
func (m *Message) problem(code Code, span bplist.Span, server, client Outcome, format string, args ...any) {
	if len(m.Problems) >= maxProblems {
		return
	}
	p := Problem{Code: code, Span: span, Receiver: Server, Outcome: server}
	if m.Dir == ServerToClient {
		p.Receiver, p.Outcome = Client, client
	}
	if code != ProblemOversize && code != ProblemEmpty {
		p.Span = inRecord(span)
	}
	p.Severity = code.severity(p.Outcome)
	p.Text = fmt.Sprintf(format, args...)
	m.Problems = append(m.Problems, p)
}
