package filter_test

import (
	"errors"
	"testing"
	"unicode/utf8"

	"tundump/decode/filter"
)

// FuzzCompile: a filter is compiled, or the error points into it; what can be
// typed behind it is found at any cursor.
func FuzzCompile(f *testing.F) {
	for _, s := range judged {
		f.Add(s, 3)
	}
	for _, s := range []string{`tunnel.command == 8 && !(tunnel.port in {1..2, 3})`, `a matches "x"`, `"`, `ip.addr==::1`, `not`, `{`, `tcp[`, `{{{`, `max(1,`, `'\x`, `"\U00110000"`, `ip#`, `-`, `0[`} {
		f.Add(s, len(s))
	}
	rows := sampleRows(samples())
	f.Fuzz(func(t *testing.T, s string, cursor int) {
		from, to, list := filter.Complete(s, cursor)
		if from < 0 || from > to || to > len(s) || len(list) > 0 && !utf8.ValidString(list[0].Text) {
			t.Fatalf("%q at %d: %d to %d, %v", s, cursor, from, to, list)
		}
		state, why := filter.Check(s)
		c, err := filter.Compile(s)
		if err == nil {
			if state != filter.Valid && state != filter.Deprecated {
				t.Fatalf("%q: %d, though it is valid: %v", s, state, why)
			}
			var scratch filter.Scratch
			for _, r := range rows {
				first := c.Match(r, &scratch)
				if again := c.Match(r, &scratch); again != first || r.Memory != nil {
					t.Fatalf("%q: %v, then %v", s, first, again)
				}
			}
			return
		}
		var fe *filter.Error
		if !errors.As(err, &fe) || fe.Col < 0 || fe.Col > len(s) || fe.End < fe.Col || fe.End > len(s) {
			t.Fatalf("%q: %v", s, err)
		}
	})
}

// FuzzMatch: filters over hostile packets; the opposite of a filter selects
// the other packets, and the order of a conjunction is of no consequence.
func FuzzMatch(f *testing.F) {
	for i, b := range samples() {
		f.Add(b, uint16(i*40), uint16(i*20))
		f.Add(b, uint16(i), uint16(200+i))
	}
	f.Fuzz(func(t *testing.T, b []byte, i, j uint16) {
		one, two := judged[int(i)%len(judged)], judged[int(j)%len(judged)]
		var scratch filter.Scratch
		asks := func(text string) bool {
			c, err := filter.Compile(text)
			if err != nil {
				t.Fatal(err)
			}
			return c.Match(sampleRows([][]byte{b})[0], &scratch)
		}
		if asks(one) == asks("!("+one+")") {
			t.Errorf("%s, and its opposite, too", one)
		}
		if got, want := asks("("+one+") and ("+two+")"), asks(one) && asks(two); got != want {
			t.Errorf("(%s) and (%s): %v", one, two, got)
		}
		if got, want := asks("("+two+") or ("+one+")"), asks(one) || asks(two); got != want {
			t.Errorf("(%s) or (%s): %v", two, one, got)
		}
		if got, want := asks("("+two+") xor ("+one+")"), asks(one) != asks(two); got != want {
			t.Errorf("(%s) xor (%s): %v", two, one, got)
		}
	})
}
