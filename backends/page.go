package backends

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// pageBytes ends a page, wherever its limit of rows is.
const pageBytes = 2 << 20

// Page is some rows of one table in key order, each as the canonical bytes that its
// digest is made of. Many rows are read, compared and written this way: a value of
// its own for every column would cost more than all the databases do. Not safe for
// concurrent use.
type Page struct {
	Table *Table

	data    []byte
	ends    []int // of each row in data
	columns int   // of the row that is being added
	began   int   // in data, what Full counts from
	scratch []byte
}

// PageOf is a page of rows.
func PageOf(t *Table, rows ...Row) (*Page, error) {
	p := &Page{Table: t}
	for _, r := range rows {
		if err := p.Append(r); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// Reset forgets the rows and keeps the memory.
func (p *Page) Reset() { p.data, p.ends, p.columns, p.began = p.data[:0], p.ends[:0], 0, 0 }

// Begin lets Full count from here.
func (p *Page) Begin() { p.began = len(p.data) }

// Len is the number of rows.
func (p *Page) Len() int { return len(p.ends) }

// Truncate keeps the first n rows.
func (p *Page) Truncate(n int) {
	kept := 0
	if n > 0 {
		kept = p.ends[n-1]
	}
	p.data, p.ends, p.columns = p.data[:kept], p.ends[:n], 0
}

// Full says that a reader must stop adding rows, to bound memory.
func (p *Page) Full() bool { return len(p.data)-p.began >= pageBytes }

// What a value is, in front of it. Text and bytes are followed by their length.
const (
	tagNull    = 'n'
	tagText    = 't'
	tagInteger = 'i'
	tagBytes   = 'b'
)

// Null, Integer, Text and Bytes add the next column of a row, End ends it.
func (p *Page) Null() { p.data, p.columns = append(p.data, tagNull), p.columns+1 }

// Integer adds a number.
func (p *Page) Integer(n int64) {
	p.data, p.columns = binary.BigEndian.AppendUint64(append(p.data, tagInteger), uint64(n)), p.columns+1
}

// Text adds text, as raw UTF-8.
func (p *Page) Text(text []byte) { p.sized(tagText, text) }

// Bytes adds bytes.
func (p *Page) Bytes(b []byte) { p.sized(tagBytes, b) }

func (p *Page) sized(tag byte, value []byte) {
	p.data = binary.BigEndian.AppendUint64(append(p.data, tag), uint64(len(value)))
	p.data, p.columns = append(p.data, value...), p.columns+1
}

// End ends a row, which must have all columns.
func (p *Page) End() error {
	if p.columns != len(p.Table.Columns) {
		return fmt.Errorf("row of %s has %d values, the table %d columns", p.Table.Name, p.columns, len(p.Table.Columns))
	}
	p.ends, p.columns = append(p.ends, len(p.data)), 0
	return nil
}

// Append adds a row.
func (p *Page) Append(r Row) error {
	for i, v := range r {
		switch v := v.(type) {
		case nil:
			p.Null()
		case int64:
			p.Integer(v)
		case string:
			p.data = binary.BigEndian.AppendUint64(append(p.data, tagText), uint64(len(v)))
			p.data, p.columns = append(p.data, v...), p.columns+1
		case []byte:
			p.Bytes(v)
		default:
			return fmt.Errorf("%s: value %d is a %T, which is not portable", p.Table.Name, i+1, v)
		}
	}
	return p.End()
}

// row is the canonical form of a row.
func (p *Page) row(i int) []byte {
	if i == 0 {
		return p.data[:p.ends[0]]
	}
	return p.data[p.ends[i-1]:p.ends[i]]
}

// Value is one column of a row of a page. Its bytes are the page's own.
type Value struct {
	Type    Type // 0: NULL
	Integer int64
	Bytes   []byte // of a text as well
}

// Values calls fn on each column of a row.
func (p *Page) Values(i int, fn func(column int, v Value) error) error {
	for column, rest := 0, p.row(i); len(rest) > 0; column++ {
		var v Value
		v, rest = next(rest)
		if err := fn(column, v); err != nil {
			return err
		}
	}
	return nil
}

func next(row []byte) (v Value, rest []byte) {
	if row[0] == tagNull {
		return v, row[1:]
	}
	n, rest := binary.BigEndian.Uint64(row[1:]), row[9:]
	switch row[0] {
	case tagInteger:
		return Value{Type: Integer, Integer: int64(n)}, rest
	case tagText:
		v.Type = Text
	default:
		v.Type = Bytes
	}
	v.Bytes = rest[:n:n]
	return v, rest[n:]
}

// ID is the key of a row, as the page's own bytes.
func (p *Page) ID(i int) []byte {
	v, _ := next(p.row(i))
	return v.Bytes
}

// Key is the key of a row.
func (p *Page) Key(i int) Key { return Key{Table: p.Table.Name, ID: string(p.ID(i))} }

// Rows are all rows as values. Texts are cut out of one copy of the page.
func (p *Page) Rows() []Row {
	rows, values := make([]Row, p.Len()), make([]any, 0, p.Len()*len(p.Table.Columns))
	whole := string(p.data)
	for i := range rows {
		began := len(values)
		for rest := p.row(i); len(rest) > 0; {
			var v Value
			v, rest = next(rest)
			switch v.Type {
			case Text:
				end := p.ends[i] - len(rest)
				values = append(values, whole[end-len(v.Bytes):end])
			case Integer:
				values = append(values, v.Integer)
			case Bytes:
				values = append(values, bytes.Clone(v.Bytes))
			default:
				values = append(values, nil)
			}
		}
		rows[i] = values[began:len(values):len(values)]
	}
	return rows
}

// Digest is the digest of a row: SHA-256 over the table's name and every value as
// tag, length, bytes. NULL differs from empty; text is raw UTF-8, without
// normalisation.
func (p *Page) Digest(i int) Digest {
	p.scratch = append(append(p.scratch[:0], p.Table.Name...), 0)
	p.scratch = append(p.scratch, p.row(i)...)
	sum := sha256.Sum256(p.scratch)
	var d Digest
	for i := range d {
		d[i] = binary.LittleEndian.Uint64(sum[i*8:])
	}
	return d
}

// SameRow says whether a row equals one of another page of the same table.
func (p *Page) SameRow(i int, o *Page, j int) bool { return bytes.Equal(p.row(i), o.row(j)) }
