// Package store gives the rows of a capture by number: a row is one event,
// and costs 24 bytes of memory. The bytes stay in the file.
//
// Rows appear while a file is still being indexed, and while the recorder is
// still writing it. The loop that everybody writes:
//
//	buf := make([]byte, 256<<10)
//	for i := st.First(); ; i++ {
//		if _, err := st.Wait(ctx, i); err != nil {
//			return err // io.EOF when no more rows will come
//		}
//		ev, err := st.At(i, buf)
//		if errors.Is(err, store.ErrGone) {
//			i = st.First() - 1 // a limited capture lost its oldest rows
//			continue
//		}
//		if err != nil {
//			return err
//		}
//		use(i, &ev) // ev.Raw lies in buf
//	}
//
// All methods of a [Store] may be called from any goroutine. A [Writer] is for
// one.
package store
