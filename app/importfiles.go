package app

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"mime/multipart"
	"os"

	"smartseller/platform/fault"
)

// importFiles are the files of one import, as one message: a form whose length is
// known before it is sent, and which takes no memory.
type importFiles struct {
	message
	open []*os.File
}

// openFiles opens the files of each kind; the names are those of the command's flags.
func openFiles(byKind map[string][]string) (_ *importFiles, err error) {
	f := &importFiles{}
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	var between bytes.Buffer // what the form has before, between and behind the files
	form := multipart.NewWriter(&between)
	var parts []io.Reader
	add := func(r io.Reader, n int64) {
		parts = append(parts, r)
		f.length += n
	}
	for kind, names := range byKind {
		for _, name := range names {
			file, size, err := f.openFile(kind, name)
			if err != nil {
				return nil, err
			}
			if _, err := form.CreateFormFile(kind, name); err != nil {
				return nil, err
			}
			head := bytes.Clone(between.Bytes())
			between.Reset()
			add(bytes.NewReader(head), int64(len(head)))
			add(io.NewSectionReader(file, 0, size), size)
		}
	}
	if err := form.Close(); err != nil {
		return nil, err
	}
	add(&between, int64(between.Len()))
	f.kind, f.content, f.asks = form.FormDataContentType(), io.MultiReader(parts...), true
	return f, nil
}

func (f *importFiles) openFile(kind, name string) (*os.File, int64, error) {
	file, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, fault.New(fault.NotFound, "file_not_found", "--%s: there is no file %s.", kind, name).Because(err)
	}
	if err != nil {
		return nil, 0, fault.New(fault.NotFound, "file_unreadable", "--%s: the file %s cannot be read: check who may.", kind, name).Because(err)
	}
	f.open = append(f.open, file)
	about, err := file.Stat()
	if err != nil || !about.Mode().IsRegular() {
		return nil, 0, fault.New(fault.Invalid, "no_file", "--%s: %s is not a file.", kind, name).Because(err)
	}
	return file, about.Size(), nil
}

// Close closes the files, which were only read.
func (f *importFiles) Close() {
	for _, file := range f.open {
		_ = file.Close()
	}
}
