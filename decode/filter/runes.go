package filter

// byteRunes reads a string as an io.RuneReader in which each byte is a
// character.
type byteRunes struct {
	text string
	at   int
}

// endOfText ends the reading; regexp takes any error for the end.
type endOfText struct{}

func (endOfText) Error() string { return "end of text" }

// ReadRune returns the next byte.
func (b *byteRunes) ReadRune() (r rune, size int, err error) {
	if b.at == len(b.text) {
		return 0, 0, endOfText{}
	}
	b.at++
	return rune(b.text[b.at-1]), 1, nil
}
