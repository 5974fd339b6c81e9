package tui

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"tundump/decode"
	"tundump/decode/field"
	"tundump/decode/packet"
)

// thousands writes a number with separators.
func thousands(n int64) string {
	s := strconv.FormatInt(n, 10)
	neg := n < 0
	if neg {
		s = s[1:]
	}
	if len(s) <= 3 {
		if neg {
			return "-" + s
		}
		return s
	}
	out := make([]byte, 0, len(s)+len(s)/3+1)
	if neg {
		out = append(out, '-')
	}
	for i := range len(s) {
		if i > 0 && (len(s)-i)%3 == 0 {
			out = append(out, ',')
		}
		out = append(out, s[i])
	}
	return string(out)
}

func safe(s string) string { return string(packet.AppendSafe(nil, s)) }

func size(n int64) string { return string(decode.AppendSize(nil, n)) }

// Time stamp forms, as tshark's -t.
var timeForms = []string{"r", "a", "ad", "d", "e"}

var timeNames = map[string]string{"r": "since the start", "a": "time of day", "ad": "date and time", "d": "since the row above", "e": "since 1970"}

// stamp writes time t. base is what relative times count from.
func stamp(form string, t, base, previous int64, loc *time.Location) string {
	switch form {
	case "a":
		return time.Unix(0, t).In(loc).Format("15:04:05.000000")
	case "ad":
		return time.Unix(0, t).In(loc).Format("2006-01-02 15:04:05.000000")
	case "e":
		return string(field.AppendEpoch(nil, t))
	case "d":
		if previous == 0 {
			previous = t
		}
		return seconds(t - previous)
	}
	return seconds(t - base)
}

// seconds writes a duration as seconds with six decimals.
func seconds(ns int64) string {
	neg := ns < 0
	if neg {
		ns = -ns
	}
	us := ns / 1000
	s := strconv.FormatInt(us/1e6, 10) + "." + strconv.FormatInt(1e6+us%1e6, 10)[1:]
	if neg {
		return "-" + s
	}
	return s
}

// stampWidth is the room that a form needs.
func stampWidth(form string) int {
	switch form {
	case "a":
		return 15
	case "ad":
		return 26
	case "e":
		return 20
	}
	return 12
}

func count(n int64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return thousands(n) + " " + what + "s"
}

var shortUnits = strings.NewReplacer(" KiB", "K", " MiB", "M", " GiB", "G", " TiB", "T", " PiB", "P", " EiB", "E", " B", "")

// shortSize writes a size with its unit in one letter.
func shortSize(n int64) string { return shortUnits.Replace(size(n)) }

// shortCount writes a number in five characters.
func shortCount(n int64) string {
	for _, unit := range []string{"", "k", "M", "G"} {
		if n < 10_000 {
			return thousands(n) + unit
		}
		n /= 1000
	}
	return thousands(n) + "T"
}

// short writes a duration with three digits or so.
func short(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return d.Round(time.Microsecond).String()
	case d < 100*time.Millisecond:
		return fmt.Sprintf("%.1fms", float64(d)/1e6)
	case d < 10*time.Second:
		return fmt.Sprintf("%dms", d.Milliseconds())
	}
	return d.Round(time.Second).String()
}
