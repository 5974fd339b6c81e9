package field

import (
	"tundump/decode/packet"
)

// item makes a field out of the values that a protocol is decoded into on
// request. A packet may have several, those of packets inside it among them.
func item(t Type, doc string, applies func(*packet.Facts) bool, names ...string) []Field {
	list := make([]Field, len(names))
	for i, name := range names {
		list[i] = Field{Name: name, Type: t, Doc: doc, Cost: FromPayload, get: func(dst []Value, r *Row) []Value {
			for depth, f := 0, r.Packet; f != nil; depth++ {
				if applies(f) {
					r.Parser.Items(f, func(it *packet.Item) bool {
						if it.Name == name {
							dst = append(dst, itemValue(it))
						}
						return true
					})
				}
				f = r.Parser.Inside(f, depth)
			}
			return dst
		}}
	}
	return list
}

// itemValue copies what the item aliases of a decoder's memory; bytes of the
// packet it does not.
func itemValue(it *packet.Item) Value {
	switch it.Kind {
	case packet.KindUint:
		return uintValue(it.Num)
	case packet.KindInt:
		return intValue(int64(it.Num))
	case packet.KindBool:
		return boolValue(it.Num != 0)
	case packet.KindText:
		return stringValue(string(it.Raw))
	case packet.KindBytes:
		return bytesValue(it.Raw)
	case packet.KindAddr:
		return addrValue(it.Addr)
	}
	return safeValue(string(it.AppendValue(nil)))
}

// entry is a line of a table of items.
type entry struct {
	name string
	typ  Type
	hex  int
	doc  string
}

func entries(applies func(*packet.Facts) bool, list []entry) []Field {
	fields := make([]Field, 0, len(list))
	for _, e := range list {
		f := item(e.typ, e.doc, applies, e.name)[0]
		f.Hex = e.hex
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
