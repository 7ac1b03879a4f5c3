package app

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// view shows how a move goes: bars on a terminal, a line for each change elsewhere.
type view interface {
	say(line string)
	// table shows that a table's copy went on, and how far all of them are.
	table(h happened, all string)
	close()
}

func newView(out io.Writer) view {
	if f, ok := out.(*os.File); ok && isatty.IsTerminal(f.Fd()) {
		return newBars(mpb.WithOutput(out))
	}
	return &lines{out: out}
}

// silent shows nothing.
type silent struct{}

func (silent) say(string)             {}
func (silent) table(happened, string) {}
func (silent) close()                 {}

// lines tells of a table when it is done, and of all in between.
type lines struct {
	out  io.Writer
	told int64 // when, microseconds of the server's clock
}

const tellEvery = 2 * time.Second

func (l *lines) say(text string) { _ = line(l.out, text) } // nobody may be listening any more

func (l *lines) table(h happened, all string) {
	if !h.What.Done && h.At-l.told < tellEvery.Microseconds() || h.What.Total == 0 {
		return
	}
	l.told = h.At
	l.say(time.UnixMicro(h.At).UTC().Format(time.TimeOnly) + "    " + tableText(h) + "; all: " + all)
}

func (l *lines) close() {}

func tableText(h happened) string {
	text := fmt.Sprintf("%s %d of %d", h.What.Table, h.What.Copied, h.What.Total)
	if h.What.Done {
		text += ", done"
	}
	return text
}

// bars has a bar for each table and one line for all of them.
type bars struct {
	container *mpb.Progress
	tables    map[string]*mpb.Bar
	all       atomic.Value // string
	sum       *mpb.Bar
}

func newBars(options ...mpb.ContainerOption) *bars {
	return &bars{container: mpb.New(append(options, mpb.WithWidth(40))...), tables: map[string]*mpb.Bar{}}
}

func (b *bars) say(text string) { _, _ = io.WriteString(b.container, text+"\n") }

func (b *bars) table(h happened, all string) {
	if h.What.Total == 0 {
		return // an empty table is no news
	}
	b.all.Store(all)
	if b.sum == nil {
		b.sum = b.container.New(0, mpb.NopStyle(), mpb.BarPriority(1<<20), mpb.PrependDecorators(
			decor.Any(func(decor.Statistics) string { return strings.TrimSpace(b.all.Load().(string)) })))
	}
	bar := b.tables[h.What.Table]
	if bar == nil {
		bar = b.container.AddBar(0, mpb.PrependDecorators(decor.Name(h.What.Table, decor.WCSyncSpaceR)),
			mpb.AppendDecorators(decor.CountersNoUnit("%d / %d", decor.WCSyncSpace)))
		b.tables[h.What.Table] = bar
	}
	bar.SetTotal(max(h.What.Total, h.What.Copied), false)
	bar.SetCurrent(h.What.Copied)
	if h.What.Done {
		bar.SetTotal(-1, true) // what it has is all
	}
}

// close leaves the bars where they are.
func (b *bars) close() {
	for _, bar := range b.tables {
		bar.Abort(false)
	}
	if b.sum != nil {
		b.sum.Abort(false)
	}
	b.container.Wait()
}
