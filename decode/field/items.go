package field

import (
	"tundump/decode/packet"
)

// item makes a field out of the values that a protocol is decoded into on
// request. A packet may have several, those of packets inside it among them.
func item(t Type, doc string, applies func(*packet.Facts) bool, name string) Field {
	return Field{Name: name, Type: t, Doc: doc, Cost: FromPayload, get: func(dst []Value, r *Row) []Value {
		if r.Packet.Carries == packet.NotInside && !applies(r.Packet) {
			return dst
		}
		list := r.items()
		for i := range list {
			if list[i].Name == name {
				dst = append(dst, r.itemValue(&list[i]))
			}
		}
		return dst
	}}
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
	when := &condition{func(r *Row) bool { return r.Packet.Carries != packet.NotInside || applies(r.Packet) }}
	fields := make([]Field, 0, len(list))
	for _, e := range list {
		f := item(e.typ, e.doc, applies, e.name)
		f.Hex, f.when = e.hex, when
		fields = append(fields, f)
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
