package pane

import "testing"

// A list that has lost its rows while some were unfolded can be moved in.
func TestListWithoutRows(t *testing.T) {
	l := NewList(nil, nil)
	l.SetIndex(few{3, 4})
	l.Put(map[int]*Cells{3: {Packets: 2}, 4: {}}, nil)
	if !l.Toggle() {
		t.Fatal("the row does not unfold")
	}
	l.SetIndex(few{})
	l.Scroll(3)
	l.Move(1)
	l.Scroll(-3)
	l.End()
	if _, ok := l.Position(); ok {
		t.Error("the cursor is at a row of none")
	}
}

// few is rows by their positions.
type few []int

func (f few) Low() int     { return 0 }
func (f few) High() int    { return len(f) }
func (f few) At(i int) int { return f[i] }
func (f few) Find(p int) int {
	for i, q := range f {
		if q >= p {
			return i
		}
	}
	return len(f)
}
