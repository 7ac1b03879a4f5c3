package shopify

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// sheet reads one file row by row. The first value that is not what it should be
// is kept in wrong, so that a record is read in one go and judged once.
type sheet struct {
	file    string
	csv     *csv.Reader
	ration  *ration
	columns map[string]int
	row     []string
	line    int   // the row's first line
	after   int   // the line behind the row
	begin   int64 // of the product or order being read, in bytes
	wrong   *Error
}

// open reads the first line, which names the columns. Those that nobody asks for
// are ignored; one of required that is missing is an error.
func open(file string, r io.Reader, required ...string) (*sheet, error) {
	rationed := &ration{from: r, left: MaxRecord}
	buffered := bufio.NewReader(rationed)
	if mark, _ := buffered.Peek(3); string(mark) == "\xef\xbb\xbf" { // of a file that went through Windows
		_, _ = buffered.Discard(3)
	}
	s := &sheet{file: file, csv: csv.NewReader(buffered), ration: rationed, columns: map[string]int{}, after: 1}
	s.csv.ReuseRecord = true
	if ok, err := s.next(); !ok {
		if err == nil {
			err = &Error{File: file, Detail: "the file is empty: its first line must name the columns"}
		}
		return nil, err
	}
	for i, name := range s.row {
		name = strings.TrimSpace(name)
		if _, twice := s.columns[name]; twice && slices.Contains(required, name) {
			return nil, &Error{File: file, Line: s.line, Column: name, Detail: "the column is there twice"}
		}
		s.columns[name] = i
	}
	for _, name := range required {
		if _, ok := s.columns[name]; !ok {
			return nil, &Error{File: file, Line: s.line, Column: name, Detail: "the column is missing: is this the right file?"}
		}
	}
	return s, nil
}

// next goes to the next row; false at the end of the file.
func (s *sheet) next() (bool, error) {
	s.ration.left = MaxRecord
	row, err := s.csv.Read()
	if errors.Is(err, io.EOF) {
		return false, nil
	}
	if err != nil {
		return false, s.syntax(err)
	}
	s.row = row
	s.line, _ = s.csv.FieldPos(0)
	last, _ := s.csv.FieldPos(len(row) - 1)
	s.after = last + strings.Count(row[len(row)-1], "\n") + 1
	return true, nil
}

func (s *sheet) syntax(err error) error {
	var parse *csv.ParseError
	switch {
	case errors.Is(err, errRation):
		return &Error{File: s.file, Line: s.after, Detail: fmt.Sprintf("a row is longer than %d bytes: is a quote not closed?", MaxRecord)}
	case !errors.As(err, &parse):
		return fmt.Errorf("read %s: %w", s.file, err)
	case errors.Is(err, csv.ErrFieldCount):
		return &Error{File: s.file, Line: parse.StartLine, Detail: fmt.Sprintf("the row has not as many values as the first line names columns (%d)", s.csv.FieldsPerRecord)}
	}
	detail := fmt.Sprintf("a quote at character %d is not closed, or stands inside a value without being doubled", parse.Column)
	if parse.StartLine != parse.Line {
		detail += fmt.Sprintf("; the row begins on line %d", parse.StartLine)
	}
	return &Error{File: s.file, Line: parse.Line, Detail: detail}
}

// whole says whether another row may join those of the product or order that is read,
// which is held in memory.
func (s *sheet) whole(what, column string) bool {
	if s.csv.InputOffset()-s.begin > MaxWhole {
		s.fail(column, "the %s is longer than %d bytes", what, MaxWhole)
		return false
	}
	return true
}

// at says on which line the value of a column begins: a row has several when a
// value before it does.
func (s *sheet) at(column string) int {
	i, ok := s.columns[column]
	if !ok {
		return s.line
	}
	line, _ := s.csv.FieldPos(i)
	return line
}

func (s *sheet) fail(column, format string, args ...any) {
	if s.wrong == nil {
		s.wrong = &Error{File: s.file, Line: s.at(column), Column: column, Detail: fmt.Sprintf(format, args...)}
	}
}

// judge is the first thing found wrong since the last time.
func (s *sheet) judge() error {
	if s.wrong == nil {
		return nil
	}
	err := s.wrong
	s.wrong = nil
	return err
}

// text is the value of a column; "" when the file has no such column.
func (s *sheet) text(column string) string {
	i, ok := s.columns[column]
	if !ok {
		return ""
	}
	value := strings.TrimSpace(s.row[i])
	if !utf8.ValidString(value) {
		s.fail(column, "is not UTF-8: save the file in that encoding")
	}
	if strings.ContainsRune(value, 0) {
		s.fail(column, "has a NUL character")
	}
	return value
}

// word is a value that belongs on one line: white space and control characters
// in it become single spaces.
func (s *sheet) word(column string) string {
	value := s.text(column)
	if !strings.ContainsFunc(value, unicode.IsControl) {
		return value
	}
	return strings.Join(strings.FieldsFunc(value, func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) }), " ")
}

// code is a value that a spreadsheet would take for a number or a formula, such
// as an id, a phone number or a postal code: the apostrophe that shields it there
// is no part of it.
func (s *sheet) code(column string) string {
	return strings.TrimPrefix(s.word(column), "'")
}

// needed is a word that must be there.
func (s *sheet) needed(column string) string { return s.present(column, s.word(column)) }

// neededCode is a code that must be there.
func (s *sheet) neededCode(column string) string { return s.present(column, s.code(column)) }

// key is a code that must be there, and short enough to look things up by.
func (s *sheet) key(column string) string {
	value := s.neededCode(column)
	if len(value) > MaxKey {
		s.fail(column, "is longer than %d bytes", MaxKey)
	}
	return value
}

func (s *sheet) present(column, value string) string {
	if value == "" {
		s.fail(column, "must not be empty")
	}
	return value
}

// ration bounds what one row may take: a quote that is never closed would swallow
// the rest of the file.
type ration struct {
	from io.Reader
	left int
}

var errRation = errors.New("the row is too long")

func (r *ration) Read(p []byte) (int, error) {
	if r.left <= 0 {
		return 0, errRation
	}
	n, err := r.from.Read(p)
	r.left -= n
	return n, err
}
