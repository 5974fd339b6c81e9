package export

import (
	"maps"
	"net/netip"
	"slices"

	"tundump/capture/pcapng"
)

func sortedNames(names map[netip.Addr]string) []pcapng.Name {
	var out []pcapng.Name
	for _, a := range slices.SortedFunc(maps.Keys(names), netip.Addr.Compare) {
		out = append(out, pcapng.Name{Addr: a, Name: names[a]})
	}
	return out
}
