package stats

import (
	"strconv"

	"tundump/decode"
)

// Step is one thing that happened in a tunnel's life: one party told another
// something, or, where To is Nobody, something happened to it.
type Step struct {
	Time    int64 // nanoseconds since the Unix epoch
	From    decode.Party
	To      decode.Party
	Text    string // "open ip 7"; may quote the network, so escape it
	Bad     bool   // it ended the tunnel, or kept it from starting
	Traffic bool   // packets or data
	Message int64  // number of the message in the capture; 0 if it is none
}

// Steps returns the tunnel's life as far as it was seen, in the order in which
// a tunnel lives it: accepted, upstream connected, open, result, first packet
// each way, end. What was not seen has no step.
func (t *Tunnel) Steps() []Step {
	var steps []Step
	add := func(s Step) {
		if s.Time != 0 {
			steps = append(steps, s)
		}
	}
	add(Step{Time: t.Accepted, From: decode.Client, To: decode.Proxy, Text: "connect"})
	add(Step{Time: t.Connected, From: decode.Proxy, To: decode.Server, Text: "connect"})
	add(Step{Time: t.Refused, From: decode.Server, To: decode.Proxy, Text: "refused: " + t.Reason, Bad: true})
	add(Step{Time: t.Open, From: decode.Client, To: decode.Server, Message: t.Numbers[0],
		Text: "open " + t.Kind.String() + " " + strconv.FormatInt(t.Identifier, 10)})
	add(Step{Time: t.Result, From: decode.Server, To: decode.Client, Message: t.Numbers[1],
		Text: "openResult " + t.resultText(), Bad: t.ResultCode != decode.ResultSuccess})
	add(Step{Time: t.FirstPacket[0], From: decode.Client, To: decode.Server, Message: t.Numbers[2], Text: "first packets up", Traffic: true})
	add(Step{Time: t.FirstPacket[1], From: decode.Server, To: decode.Client, Message: t.Numbers[3], Text: "first packets down", Traffic: true})
	add(Step{Time: t.HalfClosed[0], From: decode.Client, To: decode.Server, Text: "sends no more (FIN)"})
	add(Step{Time: t.HalfClosed[1], From: decode.Server, To: decode.Client, Text: "sends no more (FIN)"})
	add(Step{Time: t.Reset, From: t.By, Text: "reset" + because(t.Reason), Bad: true})
	if t.Reset == 0 {
		add(Step{Time: t.Closed, From: t.By, Text: "closed" + because(t.Reason)})
	} else {
		add(Step{Time: t.Closed, Text: "closed"})
	}
	return steps
}

func (t *Tunnel) resultText() string {
	if name := decode.ResultName(t.ResultCode); name != "" {
		return name
	}
	if t.ResultCode < 0 {
		return "without a code"
	}
	return strconv.FormatInt(t.ResultCode, 10)
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return " (" + reason + ")"
}
