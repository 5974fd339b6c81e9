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
