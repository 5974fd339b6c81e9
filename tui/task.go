package tui

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"

	tea "github.com/charmbracelet/bubbletea"
)

// task is long work in the background whose progress is shown and that Esc
// cancels.
type task struct {
	name      string
	cancel    context.CancelFunc
	done, all atomic.Int64
}

func (t *task) progress(done, all int64) {
	t.done.Store(done)
	t.all.Store(all)
}

// String is the progress for people.
func (t *task) String() string {
	all := t.all.Load()
	if all <= 0 {
		return t.name + " …"
	}
	return fmt.Sprintf("%s %d %%", t.name, min(t.done.Load()*100/all, 100))
}

// endedMsg is what a task brings back.
type endedMsg struct {
	t   *task
	s   *screen
	err error
	do  func(m *Model) tea.Cmd // when it went well and the screen is still there
}

func (e endedMsg) take(m *Model) tea.Cmd {
	if i := slices.Index(m.tasks, e.t); i >= 0 {
		m.tasks = slices.Delete(m.tasks, i, i+1)
	}
	e.t.cancel()
	switch {
	case e.err != nil:
		m.fail(e.t.name, e.err)
	case e.do != nil && (e.s == nil || m.alive(e.s)):
		return e.do(m)
	}
	return nil
}

// run starts a task for a screen. work runs on a goroutine of its own and must
// not touch the model; what it returns is done in the loop afterwards.
func (m *Model) run(s *screen, name string, work func(ctx context.Context, progress func(done, all int64)) (func(m *Model) tea.Cmd, error)) tea.Cmd {
	return m.begin(s.ctx, s, name, work)
}

// begin starts a task that ends with ctx. Without a screen, what work returns is
// done whatever has been closed meanwhile.
func (m *Model) begin(ctx context.Context, s *screen, name string, work func(ctx context.Context, progress func(done, all int64)) (func(m *Model) tea.Cmd, error)) tea.Cmd {
	ctx, cancel := context.WithCancel(ctx)
	t := &task{name: name, cancel: cancel}
	m.tasks = append(m.tasks, t)
	return func() tea.Msg {
		do, err := work(ctx, t.progress)
		return endedMsg{t, s, err, do}
	}
}

// cancelTask cancels the task that was started last. It reports whether there
// was one.
func (m *Model) cancelTask() bool {
	if len(m.tasks) == 0 {
		return false
	}
	m.tasks[len(m.tasks)-1].cancel()
	return true
}
