package intercept

import "tundump/decode"

// InjectBehindFirst returns an interceptor that sends records, which it keeps,
// behind the first record of direction dir in every tunnel. A direction that
// begins with bytes that are no record gets none.
func InjectBehindFirst(dir decode.Direction, records [][]byte) Interceptor {
	return injector{dir, records}
}

type injector struct {
	dir     decode.Direction
	records [][]byte
}

// Wants is true for all of the direction and not only for its first record,
// so that the capture shows both sides from the beginning to the end.
func (i injector) Wants(_ uint32, dir decode.Direction) bool { return dir == i.dir }

func (i injector) Intercept(ev decode.Event) Verdict {
	if ev.Dir != i.dir || ev.Offset != 0 {
		return Verdict{}
	}
	return Verdict{After: i.records}
}
