package httpx_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/stretchr/testify/require"

	"smartseller/platform/httpx"
)

type filesInput struct {
	httpx.Upload
	Mode string `query:"mode" default:"all"`
}

type filesOutput struct {
	Body struct {
		Files []string `json:"files"`
	}
}

const filesLimit = 4096

// newFilesServer answers with what it got: mode, field, name and length of each file.
func newFilesServer(t *testing.T) *httptest.Server {
	t.Helper()
	s := httpx.New(httpx.Options{Version: "test", Log: slog.New(slog.DiscardHandler)})
	httpx.RegisterUpload(s, huma.Operation{OperationID: "files", Method: http.MethodPost, Path: "/files", MaxBodyBytes: filesLimit},
		map[string]string{"a": "The first kind", "b": "The second kind"},
		func(_ context.Context, in *filesInput) (*filesOutput, error) {
			out := &filesOutput{}
			for {
				field, name, content, err := in.Next()
				if errors.Is(err, io.EOF) {
					return out, nil
				}
				if err != nil {
					return nil, err
				}
				n, err := io.Copy(io.Discard, content)
				if err != nil {
					return nil, err
				}
				out.Body.Files = append(out.Body.Files, fmt.Sprintf("%s %s %s %d", in.Mode, field, name, n))
			}
		})
	server := httptest.NewServer(s.Handler())
	t.Cleanup(server.Close)
	return server
}

func form(t *testing.T, sizes ...int) (kind string, body []byte) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for i, size := range sizes {
		part, err := w.CreateFormFile("a", fmt.Sprintf("%d.csv", i))
		require.NoError(t, err)
		_, err = part.Write(bytes.Repeat([]byte("x"), size))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return w.FormDataContentType(), b.Bytes()
}

func TestUpload(t *testing.T) {
	t.Parallel()
	server := newFilesServer(t)
	kind, good := form(t, 10, 0, 2000)
	_, large := form(t, filesLimit)
	kindLarge, _ := form(t, 0)
	_, rest, _ := strings.Cut(kind, "boundary=")
	full := fmt.Sprintf("--%s\r\nContent-Disposition: form-data; name=\"a\"; filename=\"x\"\r\n\r\n%s\r\n--%s--\r\n", rest, "%s", rest)
	exact := fmt.Sprintf(full, strings.Repeat("x", filesLimit-len(full)+2))
	require.Len(t, exact, filesLimit)
	for name, c := range map[string]struct {
		kind    string
		body    io.Reader
		status  int
		code    string
		answers []string
	}{
		"files":                       {kind, bytes.NewReader(good), 200, "", []string{"all a 0.csv 10", "all a 1.csv 0", "all a 2.csv 2000"}},
		"as large as may be":          {kind, strings.NewReader(exact), 200, "", []string{fmt.Sprintf("all a x %d", filesLimit-len(full)+2)}},
		"a byte too large":            {kind, strings.NewReader("\n" + exact), 413, "too_large", nil},
		"too large, and says so":      {kindLarge, bytes.NewReader(large), 413, "too_large", nil},
		"too large, found on the way": {kind, io.MultiReader(strings.NewReader("\n" + exact)), 413, "too_large", nil},
		"broken off":                  {kind, bytes.NewReader(good[:len(good)-40]), 400, "upload_broken", nil},
		"no form":                     {kind, strings.NewReader("hello"), 400, "upload_broken", nil},
		"another type":                {"application/json", strings.NewReader("{}"), 415, "unsupported_media_type", nil},
		"no boundary":                 {"multipart/form-data", strings.NewReader(""), 415, "unsupported_media_type", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			response, err := server.Client().Post(server.URL+"/files", c.kind, c.body)
			require.NoError(t, err)
			defer response.Body.Close()
			var answer struct {
				Code  string
				Files []string
			}
			require.NoError(t, json.NewDecoder(response.Body).Decode(&answer))
			require.Equal(t, c.status, response.StatusCode)
			require.Equal(t, c.code, answer.Code)
			require.Equal(t, c.answers, answer.Files)
		})
	}
}

// TestUploadIsDescribed: the document says what the form takes, and the answer 413.
func TestUploadIsDescribed(t *testing.T) {
	t.Parallel()
	server := newFilesServer(t)
	response, err := server.Client().Get(server.URL + "/openapi.json")
	require.NoError(t, err)
	defer response.Body.Close()
	var document struct {
		Paths map[string]map[string]struct {
			RequestBody struct {
				Content map[string]struct {
					Schema struct {
						Properties map[string]struct{ Description string }
					}
				}
			}
			Responses map[string]any
		}
	}
	require.NoError(t, json.NewDecoder(response.Body).Decode(&document))
	operation := document.Paths["/files"]["post"]
	require.Equal(t, "The first kind", operation.RequestBody.Content["multipart/form-data"].Schema.Properties["a"].Description)
	require.Contains(t, operation.Responses, "413")
}
