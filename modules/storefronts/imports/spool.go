package imports

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
)

// spool keeps one file while it is read, twice. Its file on disk has no name, so
// the system frees it when it is closed, even by a process that is killed.
type spool struct {
	kind Kind
	name string
	size int64
	file *os.File
	read atomic.Int64 // by the last reader
}

const spoolName = "import-*.spool"

// keep copies content to a new spool in the folder.
func keep(folder string, kind Kind, name string, content io.Reader) (_ *spool, err error) {
	file, err := os.CreateTemp(folder, spoolName)
	if err != nil {
		return nil, fmt.Errorf("make a spool: %w", err)
	}
	s := &spool{kind: kind, name: name, file: file}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if err := os.Remove(file.Name()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("take the spool's name away: %w", err)
	}
	s.size, err = io.Copy(file, content)
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return nil, errNoRoom.Because(err)
	}
	return s, err
}

// Reader reads the spool from its begin.
func (s *spool) Reader() io.Reader {
	s.read.Store(0)
	return &spoolReader{io.NewSectionReader(s.file, 0, s.size), &s.read}
}

func (s *spool) Close() error { return s.file.Close() }

type spoolReader struct {
	from io.Reader
	read *atomic.Int64
}

func (r *spoolReader) Read(p []byte) (int, error) {
	n, err := r.from.Read(p)
	r.read.Add(int64(n))
	return n, err
}

// sweep makes the folder of spools and removes those of a process that was killed
// between making one and taking its name away.
func sweep(folder string) error {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return fmt.Errorf("make the folder of spools: %w", err)
	}
	left, err := fs.Glob(os.DirFS(folder), spoolName) // whatever signs the folder's own name has
	if err != nil {
		return err
	}
	for _, name := range left {
		if err := os.Remove(filepath.Join(folder, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("remove a spool that was left: %w", err)
		}
	}
	return nil
}
