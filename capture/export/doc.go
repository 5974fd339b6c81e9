// Package export writes what a session sees as files for other tools: the
// packets inside the tunnels, app-proxy connections and the tunnels' own TCP
// connections rebuilt as packets, and the contents of flows.
//
//	e, err := export.New(export.Options{Path: "inner.pcapng"})
//	for more := true; more; {
//		row, err := s.Next(ctx)
//		…
//		more, err = e.Add(row)
//	}
//	err = e.Close()
//
// pcapng files have one interface, link type RAW, on which each block has the
// direction, and for its first comment the tag of the message that carried the
// packet. Without a filter, packet n of the file is the packet that the field
// frame.number calls n. Classic pcap keeps times, to the nanosecond, and bytes.
//
// A file that was not closed ends with a whole block but for the last write.
package export
