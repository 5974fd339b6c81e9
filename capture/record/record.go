package record

import (
	"errors"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"tundump/capture"
	"tundump/capture/pcapng"
	"tundump/capture/store"
	"tundump/decode"
)

// Overload says what Offer does when the queue is full.
type Overload uint8

const (
	// Wait waits, which slows the tunnel, and counts the time.
	Wait Overload = iota
	// Drop drops, and counts. What was dropped is a gap in the capture.
	Drop
)

// Options configure a [Recorder]. The zero value records to a file without a
// name, of which the last GiB is kept.
type Options struct {
	// Path is the file to write. An existing one is replaced. If Path is a
	// named pipe it is written as Output is.
	Path string
	// Output, if not nil, is written too: the same file, as a stream.
	Output io.Writer
	// Rotation says when the file is followed by the next.
	Rotation Rotation
	// Keep limits a file without a name, in bytes; 0 is 1 GiB. The oldest rows
	// go, an eighth at a time; numbers stay. Of files that follow each other it
	// limits the sum: the oldest that this recorder has written are deleted; 0
	// is no limit.
	Keep int64
	// Overload says what happens when the writer is too slow.
	Overload Overload
	// NoInner leaves out the inner packets, which can be derived.
	NoInner bool
	// QueueBytes limits the memory of what waits to be written; 0 is 32 MiB.
	QueueBytes int
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// Logger hears of what ends the recording; nil is silent.
	Logger *slog.Logger
}

// Stats counts what a recorder did.
type Stats struct {
	Rows     int
	Messages int64
	Bytes    int64 // written, of the file
	Queued   int   // bytes of memory that wait

	Waits        int64         // how often Offer had to wait
	Waited       time.Duration // and for how long in all
	Dropped      [2]int64      // events, by direction
	DroppedBytes [2]int64      // of those events
}

// Losses is what of the counts stands in the file.
func (s *Stats) Losses() pcapng.Losses {
	return pcapng.Losses{Waits: s.Waits, Waited: s.Waited, Dropped: s.Dropped, DroppedBytes: s.DroppedBytes}
}

// Recorder is a [capture.Tap] that writes a capture.
type Recorder struct {
	q    *queue
	st   *store.Store
	log  *slog.Logger
	now  func() time.Time
	done chan struct{} // the writer has ended

	anew     atomic.Bool   // the file shall be opened again
	complete chan struct{} // closed when Rotation.Files are written

	messages atomic.Int64
	bytes    atomic.Int64

	failed chan struct{}
	fail   sync.Once
	err    error // written before failed is closed
}

const (
	defaultKeep  = 1 << 30
	defaultQueue = 32 << 20
	flushBytes   = 256 << 10
	flushEvery   = 100 * time.Millisecond
)

// New makes the file and starts the goroutine that writes it, which ends when
// Close is called and everything offered before is written.
//
// The error says why the file cannot be written.
func New(o Options) (*Recorder, error) {
	o.Keep = max(0, o.Keep)
	if o.QueueBytes <= 0 {
		o.QueueBytes = defaultQueue
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	st, w := store.New()
	s, err := newSink(&o, w)
	if err != nil {
		return nil, errors.Join(err, st.Close())
	}
	r := &Recorder{
		q: newQueue(o.QueueBytes, o.Overload, o.Now), st: st, log: o.Logger, now: o.Now,
		done: make(chan struct{}), failed: make(chan struct{}), complete: make(chan struct{}),
	}
	r.bytes.Store(s.written)
	e := &encoder{base: s.size, tunnels: map[uint32]*tunnel{}}
	if !o.NoInner {
		e.inner = new(decode.Message)
	}
	go r.write(s, e)
	return r, nil
}

// Store returns the rows, which appear as soon as they are in the file. It
// outlives the recorder: close it after [Recorder.Close].
func (r *Recorder) Store() *store.Store { return r.st }

// Offer takes the events of b. It may wait: see [Overload]. After Close, and
// after writing failed, it does nothing.
func (r *Recorder) Offer(b *capture.Batch) {
	if len(b.Events) > 0 {
		r.q.offer(b)
	}
}

// Pause has what passes counted as dropped instead of recorded, but for what
// tunnels do, or has it recorded again: then a gap stands for what is missing.
func (r *Recorder) Pause(on bool) {
	r.q.mu.Lock()
	defer r.q.mu.Unlock()
	r.q.paused = on
}

// Reopen begins the file anew under its name, from which logrotate and its like
// have moved it away. Where it is still there, or cannot be made again, the
// recording goes on in it, and the log says so. Nothing is lost in between.
func (r *Recorder) Reopen() {
	r.anew.Store(true)
	r.q.poke()
}

// Complete is closed when as many files as Rotation asks for are written.
// Nothing is recorded after that.
func (r *Recorder) Complete() <-chan struct{} { return r.complete }

// ended reports whether nothing more is to be written.
func (r *Recorder) ended() bool {
	select {
	case <-r.failed:
	case <-r.complete:
	default:
		return false
	}
	return true
}

// Failed is closed when writing has failed; Err then says why.
func (r *Recorder) Failed() <-chan struct{} { return r.failed }

// Err is what ended the recording before Close did, or nil.
func (r *Recorder) Err() error {
	select {
	case <-r.failed:
		return r.err
	default:
		return nil
	}
}

// Stats returns the counts so far.
func (r *Recorder) Stats() Stats {
	r.q.mu.Lock()
	s := r.q.stats
	s.Queued = r.q.pinned
	r.q.mu.Unlock()
	s.Rows, s.Messages, s.Bytes = r.st.Len(), r.messages.Load(), r.bytes.Load()
	return s
}

// Close writes what was offered and the counts, and ends the recording. The
// file stays open for the store. It returns what Err does, and may be called
// more than once.
func (r *Recorder) Close() error {
	r.q.stop(true)
	<-r.done
	return r.Err()
}

// write is the recorder's goroutine. It owns the sink and the encoder.
func (r *Recorder) write(s *sink, e *encoder) {
	defer close(r.done)
	w := writer{Recorder: r, s: s, e: e, flushed: r.now()}
	var items []item
	for more := true; more; {
		items, more = r.q.take(items)
		w.now = r.now()
		if r.anew.Swap(false) {
			w.reopen()
		}
		for _, it := range items {
			w.add(it.events())
			r.q.release(it)
			if w.now = r.now(); w.now.Sub(w.flushed) > flushEvery {
				w.flush()
			}
		}
		clear(items)
		w.flush()
	}
	if !r.ended() {
		w.finish()
	}
	s.w.Finish(r.Err())
}

// stop ends the recording, and nothing else.
func (r *Recorder) stop(err error) {
	r.fail.Do(func() {
		r.err = err
		close(r.failed)
		r.log.Error("recording stopped; the tunnels go on", "error", err)
		r.q.stop(false)
	})
}
