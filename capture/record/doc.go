// Package record is the recorder: a capture.Tap that writes what passes to a
// pcapng file, as the TCP connections that it came over, and makes it
// available as rows of a store at the same time.
//
//	rec, err := record.New(record.Options{Path: "session.pcapng"})
//	if err != nil {
//		return err
//	}
//	proxy := proxy.New(proxy.Config{Tap: rec, …})
//	… // rec.Store() has the rows, rec.Stats() the counts
//	err = rec.Close()
//
// Events wait in a queue of bounded memory for one goroutine, which writes.
// When the queue is full, Offer waits, or drops and counts: see [Overload].
// If writing fails, recording stops with one error and nothing else does:
// Offer returns at once from then on.
//
// What stands in the file is described in DESIGN.md under "The capture file",
// its comments at pcapng.Tag. Events that are no packets (measurements, what
// comes twice, an upstream that refused) are comments on the next block of
// their direction; everything else has blocks of its own.
package record
