package detail

import (
	"fmt"
	"strconv"

	"tundump/decode"
	"tundump/decode/bplist"
)

// fieldOf names the field that holds the value of a message's key.
var fieldOf = map[string]string{
	decode.KeyCommand.String():          "tunnel.command",
	decode.KeyIdentifier.String():       "tunnel.identifier",
	decode.KeyResultCode.String():       "tunnel.result_code",
	decode.KeyTunnelType.String():       "tunnel.tunnel_type",
	decode.KeyAppProxyFlowType.String(): "tunnel.flow_type",
	decode.KeyHost.String():             "tunnel.host",
	decode.KeyPort.String():             "tunnel.port",
	decode.KeyCloseType.String():        "tunnel.close_type",
}

// dictionary makes the nodes of a container's elements.
func (b *builder) dictionary(parent *Node, v bplist.Value, depth int) {
	for i := range v.Len() {
		if !b.room() {
			parent.Children = append(parent.Children, &Node{Text: fmt.Sprintf("… %d more", v.Len()-i), Key: "more"})
			return
		}
		if v.Type() != bplist.Dict {
			parent.Children = append(parent.Children, b.value(strconv.Itoa(i), v.At(i), depth))
			continue
		}
		k, e := v.Pair(i)
		name := safe(string(k.AppendText(nil)))
		n := b.value(name, e, depth)
		if depth == 0 {
			b.known(n, name, e)
		}
		if s := b.inRecord(k.Span()); s.Len > 0 {
			n.Children = append([]*Node{{Text: "key: " + name, Key: "key", Value: name, Span: s}}, n.Children...)
		}
		parent.Children = append(parent.Children, n)
	}
}

// known adds to a node of the message's own keys what the protocol knows.
func (b *builder) known(n *Node, name string, v bplist.Value) {
	if f := fieldOf[name]; f != "" {
		msg := *b.row
		msg.Packet, msg.Flow, msg.Data = nil, nil, nil
		n.Filter, n.Value = valueFilter(&msg, f, "")
		n.Key = f
	}
	if m := b.row.Message; name == decode.KeyCommand.String() && m.Command != 0 {
		n.Text += " (" + m.Command.String() + ")"
	} else if code, ok := v.Int(); ok {
		word := ""
		switch name {
		case decode.KeyResultCode.String():
			word = decode.ResultName(code)
		case decode.KeyTunnelType.String():
			word = decode.TunnelTypeName(code)
		case decode.KeyAppProxyFlowType.String():
			word = decode.FlowTypeName(code)
		case decode.KeyCloseType.String():
			word = decode.CloseTypeName(code)
		}
		if word != "" {
			n.Text += " (" + word + ")"
		}
	}
}

// value makes the node of one value.
func (b *builder) value(name string, v bplist.Value, depth int) *Node {
	n := &Node{Key: "plist." + name, Span: b.inRecord(v.Span())}
	switch v.Type() {
	case bplist.Dict, bplist.Array, bplist.Set:
		n.Text = fmt.Sprintf("%s: %s, %d", name, v.Type(), v.Len())
		if short, ok := numbers(v); ok {
			n.Text, n.Value = name+": "+short, short
		}
		if depth < maxDepth {
			b.dictionary(n, v, depth+1)
		}
	case bplist.Data:
		data, _ := v.Data()
		n.Value = shortHex(data)
		n.Text = fmt.Sprintf("%s: %d bytes %s", name, len(data), n.Value)
		if s := b.inRecord(v.Body()); s.Len == len(data) && s.Len > 0 {
			n.Span = s
		}
	default:
		n.Value = safe(string(v.AppendText(nil)))
		n.Text = name + ": " + n.Value
	}
	return n
}

// numbers writes a short array of numbers in one line: "[2 2 30]".
func numbers(v bplist.Value) (string, bool) {
	if v.Type() != bplist.Array || v.Len() == 0 {
		return "", false
	}
	out := []byte{'['}
	for i := range v.Len() {
		n, ok := v.At(i).Int()
		if !ok {
			return "", false
		}
		if i == maxPackets {
			out = append(out, " …"...)
			break
		}
		if i > 0 {
			out = append(out, ' ')
		}
		out = strconv.AppendInt(out, n, 10)
	}
	return string(append(out, ']')), true
}

// inRecord turns a span of the payload into one of the record.
func (b *builder) inRecord(s bplist.Span) Span {
	return b.clamp(Span{Record, s.Off + 4, s.Len})
}
