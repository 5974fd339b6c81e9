package record

import (
	"time"

	"tundump/capture/pcapng"
	"tundump/decode"
)

// writer is what the recorder's goroutine works with.
type writer struct {
	*Recorder
	s       *sink
	e       *encoder
	now     time.Time
	flushed time.Time
	files   int           // that are finished
	said    pcapng.Losses // in their statistics
}

// add encodes events, and goes on to the next file where one is due.
func (w *writer) add(events []decode.Event) {
	for i := range events {
		if w.ended() {
			return
		}
		if w.s.named && w.s.due(len(w.e.out), w.now) {
			w.next()
			if w.ended() {
				return
			}
		}
		w.e.add(events[i])
		if len(w.e.out) >= flushBytes {
			w.flush()
		}
	}
}

// flush puts into the file, and then into the store, what was encoded.
func (w *writer) flush() {
	w.flushed = w.now
	if len(w.e.out) == 0 || w.ended() {
		return
	}
	err := w.s.flush(w.e)
	w.messages.Store(w.e.message)
	w.bytes.Store(w.s.written)
	if err != nil {
		w.stop(err)
	}
}

// next ends the file that is written and begins the next.
func (w *writer) next() {
	w.endFile()
	if w.files++; w.s.rotation.last(w.files) {
		close(w.complete)
		w.q.stop(false)
	}
	if !w.ended() {
		w.begun(w.s.rotate(w.now))
	}
}

// reopen begins the file anew. It is sure of the new one before it leaves the
// old.
func (w *writer) reopen() {
	if w.ended() || !w.s.named {
		return
	}
	f, err := w.s.reopen()
	switch {
	case err != nil:
		w.log.Error("the capture is not opened again; the recording goes on in the old file", "err", err)
		return
	case f == nil:
		w.log.Warn("the capture is not opened again: it has not been moved away", "file", w.s.name)
		return
	}
	w.endFile()
	if w.ended() {
		if err := f.Close(); err != nil {
			w.log.Warn("closing the new file", "err", err)
		}
		return
	}
	w.begun(w.s.goOn(f, w.now))
	w.log.Info("the capture is opened again", "file", w.s.name)
}

// endFile writes what is due at the end of each file. Notes wait for the next.
func (w *writer) endFile() {
	stats := w.Stats()
	lost := stats.Losses()
	lost.Sub(w.said)
	w.said = stats.Losses()
	w.e.statistics(w.s.begun.UnixNano(), w.now.UnixNano(), &lost)
	w.s.w.AddLosses(lost)
	w.flush()
}

// begun makes a file that was just begun complete by itself.
func (w *writer) begun(err error) {
	if err != nil {
		w.stop(err)
		return
	}
	w.e.beginFile(w.s.size, w.s.room())
	w.flush()
}

// finish writes what is due at the end of the recording.
func (w *writer) finish() {
	w.now = w.Recorder.now()
	gaps := w.q.rest()
	for i := range gaps {
		w.e.add(gaps[i])
	}
	w.e.carryAll(w.now.UnixNano())
	w.endFile()
	if err := w.s.close(); err != nil {
		w.stop(err)
	}
}
