package tui

import (
	"slices"
	"testing"
)

func TestColumnsSortTimes(t *testing.T) {
	d := drive(t, 140, 45, Options{}, small(t, false))
	c := d.m.control.(*fakeControl)
	d.keys("2 c")
	d.text("ip.ttl")
	d.keys("enter esc")
	d.wants("ip.ttl", " 64 ")
	if len(c.settings.Packets) == 0 {
		t.Error("the columns are not kept")
	}
	d.keys("s")
	d.text("length")
	d.keys("enter")
	d.wants("sorted by Length")
	if n := d.m.scr().rows().list.Index().At(0); n != 9 {
		t.Errorf("the shortest packet is at %d", n)
	}
	d.keys("S home")
	if n := d.m.scr().rows().list.Index().At(0); n != 7 {
		t.Errorf("the longest packet is at %d", n)
	}
	d.keys("s enter")
	d.lacks("sorted by")
	d.keys("3 s")
	d.text("server")
	d.keys("enter")
	d.wants("Server↑")
	d.keys("S")
	d.wants("Server↓")
	d.keys("2")
	d.keys("t")
	d.wants("22:13:20.0")
	d.keys("t t t")
	d.wants("1700000000.0")
}

// What was asked for last stands, though what was asked for before it ends
// later; and a list that was sorted stays so when a filter is applied.
func TestFilterAfterSort(t *testing.T) {
	d := drive(t, 140, 45, Options{}, small(t, false))
	d.keys("2")
	r := d.m.scr().rows()
	sorting := d.m.reverseSort()
	d.update(d.m.applyFilter("udp")())
	shown := r.list.Index().High()
	d.update(sorting())
	if r.order != nil || r.list.Index().High() != shown || shown == r.extent().Len() {
		t.Errorf("a sorting of %d rows came after the filter: %d rows are shown, %d passed it", r.extent().Len(), r.list.Index().High(), shown)
	}
	d.settle()
	if r.order == nil || len(r.order.positions) != shown || !r.order.down || !slices.IsSortedFunc(r.order.positions, func(a, b int32) int { return int(b - a) }) {
		t.Errorf("the %d rows are not sorted as before: %+v", shown, r.order)
	}
	d.wants("sorted by No.")
}

// Sorting waits for the rows that a filter has yet to find.
func TestSortAfterFilter(t *testing.T) {
	f := small(t, false)
	f.slow = true
	d := drive(t, 140, 45, Options{}, f)
	d.keys("2")
	d.m.applyFilter("udp")
	r := d.m.scr().rows()
	d.start(d.m.reverseSort())
	d.settle()
	f.change(func() {})
	d.settle()
	if n := r.list.Index().High(); r.order == nil || n != 2 {
		t.Errorf("%d rows are sorted: %+v", n, r.order)
	}
}

func TestMoreAndLessRoom(t *testing.T) {
	d := drive(t, 140, 45, Options{}, small(t, false))
	d.keys("2")
	before := d.screen()
	d.keys("+")
	if d.screen() == before {
		t.Error("the list does not grow")
	}
	tree := d.m.set.Layout.Tree
	d.keys("-")
	if d.screen() != before || tree != 0 {
		t.Errorf("less after more is another screen:\n%s\n%s", d.screen(), before)
	}
}

// The escape key brings the rows back in their order, and those that were
// hidden.
func TestEscapeUnsorts(t *testing.T) {
	d := drive(t, 140, 45, Options{}, small(t, false))
	d.keys("2 s")
	d.text("length")
	d.keys("enter")
	d.wants("sorted by Length")
	d.keys("esc")
	d.lacks("sorted by")
	if n := d.m.scr().rows().list.Index().At(0); n != 0 {
		t.Errorf("the first row is at %d", n)
	}
	d.keys("z")
	d.wants("0 packets", "z shows all")
	d.keys("esc")
	d.wants("50 packets")
}

// Rows that are hidden are hidden in whatever order, and newer ones come.
func TestClearSorted(t *testing.T) {
	f := small(t, true)
	d := drive(t, 140, 45, Options{}, f)
	d.keys("2 S")
	d.wants("sorted by No.")
	d.keys("z")
	d.lacks("sorted by", "ICMP")
	d.m.applyFilter("icmp")
	d.settle()
	d.keys("z z") // shown and hidden
	d.wants("nothing new passes the filter since the list was cleared")
	f.change(func() { f.add(bareEvent(f, 1)) })
	d.settle()
	d.wants("1 of 1", "ICMP")
}

// What changes nothing on some screens says that it was done.
func TestFeedback(t *testing.T) {
	d := drive(t, 80, 24, Options{}, small(t, false))
	d.keys("2 O")
	d.wants("rows in colour: off")
	d.keys("O")
	d.wants("rows in colour: on")
	d.keys("U")
	d.wants("nothing is marked")
	d.keys("m down m U")
	d.wants("2 marks taken away")
	d.keys("ctrl+t")
	d.wants("times count from here")
	d.keys("ctrl+t")
	d.wants("times count from the first again")
	d.keys("ctrl+g")
	d.text("2.5x")
	d.wants("a number, 12.5s or 15:04:05")
	d.keys("ctrl+u")
	d.text("999999")
	d.keys("enter")
	d.wants("there is no packet 999,999: this is the last")
	d.keys("ctrl+f shift+tab shift+tab")
	d.text("a long expression that goes on [")
	d.wants("missing closing")
}
