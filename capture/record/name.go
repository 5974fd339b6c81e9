package record

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// namer names the files of a capture as tcpdump's -C, -G and -W do.
type namer struct {
	pattern string
	stamped bool // pattern has strftime's conversions
	sized   bool // -C: the names are numbered
	files   int  // -W, 0: no limit
	width   int  // of the number, in digits
	number  int
}

func newNamer(path string, r *Rotation) (*namer, error) {
	n := &namer{pattern: path, stamped: r.Every > 0, sized: r.Size > 0, files: r.Files}
	if n.sized && n.files > 0 {
		n.width = len(strconv.Itoa(n.files - 1))
	}
	if n.stamped {
		if _, err := strftime(path, time.Time{}); err != nil {
			return nil, err
		}
	}
	return n, nil
}

// name is the file that is written from then on.
func (n *namer) name(now time.Time) string {
	path := n.pattern
	if n.stamped {
		path, _ = strftime(path, now) // newNamer has tried it
	}
	if n.number == 0 && n.width == 0 {
		return path
	}
	return fmt.Sprintf("%s%0*d", path, n.width, n.number)
}

// advance goes to the next number: behind the last of a ring comes the first.
func (n *namer) advance() {
	n.number++
	if n.files > 0 && n.number >= n.files {
		n.number = 0
	}
}

// conversions are those of strftime whose result does not depend on the
// locale, in the words of package time.
var conversions = map[byte]string{
	'a': "Mon", 'A': "Monday", 'b': "Jan", 'B': "January", 'd': "02", 'D': "01/02/06", 'e': "_2",
	'F': "2006-01-02", 'H': "15", 'h': "Jan", 'I': "03", 'j': "002", 'm': "01", 'M': "04", 'p': "PM",
	'R': "15:04", 'S': "05", 'T': "15:04:05", 'y': "06", 'Y': "2006", 'z': "-0700", 'Z': "MST",
}

// strftime fills in a name.
//
// Source: tcpdump(1), -G; strftime(3).
func strftime(pattern string, t time.Time) (string, error) {
	var b strings.Builder
	for i := 0; i < len(pattern); i++ {
		if pattern[i] != '%' {
			b.WriteByte(pattern[i])
			continue
		}
		i++
		if i == len(pattern) {
			return "", fmt.Errorf("record: %s: a conversion is missing behind the last %%; write %%%% for one %%", pattern)
		}
		switch c := pattern[i]; c {
		case '%':
			b.WriteByte('%')
		case 's':
			b.WriteString(strconv.FormatInt(t.Unix(), 10))
		default:
			layout, ok := conversions[c]
			if !ok {
				return "", fmt.Errorf("record: %s: %q is no conversion that is known; there are %%Y %%m %%d %%H %%M %%S %%s and others of strftime's", pattern, pattern[i-1:i+1])
			}
			b.WriteString(t.Format(layout))
		}
	}
	return b.String(), nil
}
