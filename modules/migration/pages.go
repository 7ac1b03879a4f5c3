package migration

import (
	"bytes"
	"context"
	"sort"
	"time"

	"smartseller/backends"
)

// twoPages are the same part of a table at both places.
type twoPages struct{ want, have *backends.Page }

func (p twoPages) rowsFor(took, chunk time.Duration) int {
	return rowsFor(p.want.Len(), p.want.Full(), took, chunk)
}

// read reads up to so many rows behind a key, and their copies; it says behind which
// key to go on. Of a copy with more rows no more are read, and both pages end with the last
// of these: where many rows are on their way out, one that should not be there may come behind them.
func (p twoPages) read(ctx context.Context, from, to backends.Store, after string, rows int) (through string, more bool, err error) {
	p.want.Reset()
	p.have.Reset()
	if more, err = from.Page(ctx, p.want, after, "", rows); err != nil {
		return "", false, err
	}
	if more {
		through = p.want.Key(p.want.Len() - 1).ID
	}
	left := true
	for left && p.have.Len() <= p.want.Len() {
		if left, err = to.Page(ctx, p.have, after, through, p.want.Len()+1); err != nil {
			return "", false, err
		}
		if p.have.Len() > 0 {
			after = p.have.Key(p.have.Len() - 1).ID
		}
	}
	if left {
		last := p.have.ID(p.have.Len() - 1)
		p.want.Truncate(sort.Search(p.want.Len(), func(i int) bool { return bytes.Compare(p.want.ID(i), last) > 0 }))
		return string(last), true, nil
	}
	return through, more, nil
}

// compare returns the keys whose rows differ, are missing or should not be there, and
// adds the digests of the wanted rows to the sum. Equal rows are equal byte for byte.
func (p twoPages) compare(sum *backends.Digest) (differ []backends.Key) {
	at, want, have := 0, p.want, p.have
	for i := range want.Len() {
		sum.Add(want.Digest(i))
		id := want.ID(i)
		for at < have.Len() && bytes.Compare(have.ID(at), id) < 0 {
			differ = append(differ, have.Key(at))
			at++
		}
		if at == have.Len() || !bytes.Equal(have.ID(at), id) {
			differ = append(differ, want.Key(i))
			continue
		}
		if !want.SameRow(i, have, at) {
			differ = append(differ, want.Key(i))
		}
		at++
	}
	for ; at < have.Len(); at++ {
		differ = append(differ, have.Key(at))
	}
	return differ
}
