package packet

// Base is what a packet's flow knows and the packet does not: the sequence
// numbers that Seq and Ack are counted from, and the sender's window scale.
// The zero Base prints the numbers as they are on the wire.
type Base struct {
	Seq, Ack uint32
	WScale   uint8
}

// AppendProtocol appends the value of the field _ws.col.protocol: the topmost
// protocol that was recognised.
func (f *Facts) AppendProtocol(dst []byte) []byte { return append(dst, f.protocol()...) }

func (f *Facts) protocol() string { return "" }

// AppendInfo appends the value of the field _ws.col.info in tshark's words.
// The text is safe to print. It does not allocate unless the DNS message
// is the largest so far.
func (p *Parser) AppendInfo(dst []byte, f *Facts, base Base) []byte { return dst }

// AppendProtocols appends the value of the field frame.protocols, such as
// "raw:ip:udp:dns".
func (p *Parser) AppendProtocols(dst []byte, f *Facts) []byte { return dst }
