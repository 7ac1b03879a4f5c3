package httpx

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"smartseller/platform/fault"
)

// Upload is the input of an operation that takes files: embed it, and register
// with RegisterUpload. Nothing is read before Next is called, and nothing is kept:
// a file of any size takes a buffer's memory.
type Upload struct {
	request huma.Context
	parts   *multipart.Reader
}

// uploadSilence is how long an upload may bring nothing before it counts as broken.
const uploadSilence = time.Minute

// Resolve implements huma.Resolver.
func (u *Upload) Resolve(c huma.Context) []error {
	u.request = c
	return nil
}

// Next goes to the next file: the name of its field, its own name, and its
// content, which is read before the next call. io.EOF behind the last one. Errors, also
// those of reading the content, are *fault.Errors.
func (u *Upload) Next() (field, name string, content io.Reader, err error) {
	if u.parts == nil {
		if err := u.open(); err != nil {
			return "", "", nil, err
		}
	}
	part, err := u.parts.NextPart()
	if errors.Is(err, io.EOF) && errors.Unwrap(err) == nil { // wrapped, it is that of a body without its last line
		return "", "", nil, u.end()
	}
	if err != nil {
		return "", "", nil, uploadFault(err)
	}
	return part.FormName(), part.FileName(), &upload{from: part}, nil
}

func (u *Upload) open() error {
	kind, parameters, err := mime.ParseMediaType(u.request.Header("Content-Type"))
	if err != nil || kind != "multipart/form-data" || parameters["boundary"] == "" {
		return fault.New(fault.UnsupportedMedia, "unsupported_media_type", "This endpoint takes multipart/form-data.")
	}
	limit := u.request.Operation().MaxBodyBytes
	if length, err := strconv.ParseInt(u.request.Header("Content-Length"), 10, 64); err == nil && length > limit {
		return tooLarge(limit) // before the client sends it all
	}
	u.parts = multipart.NewReader(&bounded{request: u.request, left: limit, limit: limit}, parameters["boundary"])
	return nil
}

// end lets the connection live on: its deadline was the upload's.
func (u *Upload) end() error {
	if err := u.request.SetReadDeadline(time.Time{}); err != nil {
		return fmt.Errorf("end the upload's time: %w", err)
	}
	return io.EOF
}

func tooLarge(limit int64) error {
	return fault.New(fault.TooLarge, "too_large", "The upload is larger than %d bytes, the most that this endpoint takes: send it in parts.", limit)
}

// bounded reads a body up to a limit, as long as it keeps coming.
type bounded struct {
	request     huma.Context
	left, limit int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if err := b.request.SetReadDeadline(time.Now().Add(uploadSilence)); err != nil {
		return 0, fmt.Errorf("bound the upload's time: %w", err)
	}
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1] // one byte past the limit tells too much from just enough
	}
	n, err := b.request.BodyReader().Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, tooLarge(b.limit)
	}
	return n, err
}

// upload is a file's content.
type upload struct{ from io.Reader }

func (u *upload) Read(p []byte) (int, error) {
	n, err := u.from.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = uploadFault(err)
	}
	return n, err
}

func uploadFault(err error) error {
	var known *fault.Error
	if errors.As(err, &known) {
		return known
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF // io.EOF itself would tell the caller that all is read
	}
	return fault.New(fault.Malformed, "upload_broken", "The upload is not well-formed multipart/form-data, or it broke off: send it again.").Because(err)
}

// RegisterUpload is Register for an operation that takes files; fields says what
// each of the form's fields is. A field may be there several times.
func RegisterUpload[I, O any](s *Server, op huma.Operation, fields map[string]string, handle func(context.Context, *I) (*O, error)) {
	Register(s, op, handle)
	form := &huma.Schema{Type: huma.TypeObject, Properties: map[string]*huma.Schema{}, AdditionalProperties: false}
	for field, doc := range fields {
		form.Properties[field] = &huma.Schema{Type: huma.TypeArray, Description: doc, Items: &huma.Schema{Type: huma.TypeString, Format: "binary"}}
	}
	form.PrecomputeMessages()
	// After the registration, since huma would read a body that it knows of into memory.
	path := s.api.OpenAPI().Paths[op.Path]
	described := map[string]*huma.Operation{"POST": path.Post, "PUT": path.Put}[strings.ToUpper(op.Method)]
	described.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{"multipart/form-data": {Schema: form}}}
}
