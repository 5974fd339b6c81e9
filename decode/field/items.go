package field

import (
	"tundump/decode/packet"
)

// items appends the field's values among those that a protocol is decoded into
// on request. A packet may have several, those of packets inside it among them.
func (f *Field) items(dst []Value, r *Row) []Value {
	if !f.when.in(r) {
		return dst
	}
	m := r.items()
	for i := m.first[f.at]; i > 0; i = m.list[i-1].next {
		dst = append(dst, r.itemValue(&m.list[i-1].Item))
	}
	return dst
}

func (r *Row) itemValue(it *packet.Item) Value {
	switch it.Kind {
	case packet.KindUint:
		return uintValue(it.Num)
	case packet.KindInt:
		return intValue(int64(it.Num))
	case packet.KindBool:
		return boolValue(it.Num != 0)
	case packet.KindText:
		return Value{Type: String, text: aliased(it.Raw)}
	case packet.KindSafe:
		return safeBytes(it.Raw)
	case packet.KindBytes:
		return bytesValue(it.Raw)
	case packet.KindAddr:
		return addrValue(it.Addr)
	}
	return r.safeText(it.AppendValue)
}

// entry is a line of a table of items.
type entry struct {
	name string
	typ  Type
	hex  int
	doc  string
}

func entries(applies func(*packet.Facts) bool, list []entry) []Field {
	when := packetHas(applies)
	fields := make([]Field, 0, len(list))
	for _, e := range list {
		fields = append(fields, Field{Name: e.name, Type: e.typ, Hex: e.hex, Doc: e.doc, Cost: FromPayload, when: when})
	}
	return fields
}

func hasApp(apps ...packet.App) func(*packet.Facts) bool {
	return func(f *packet.Facts) bool {
		for _, a := range apps {
			if f.App == a && a != packet.NoApp {
				return true
			}
		}
		return false
	}
}

func hasTransport(t packet.Transport) func(*packet.Facts) bool {
	return func(f *packet.Facts) bool { return f.Transport == t }
}
