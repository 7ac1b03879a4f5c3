package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/modules/storefronts/shopify/sample"
)

// export is a made-up shop's, on disk.
type export struct {
	folder string
	want   sample.Expected
}

func (p *program) export(t *testing.T, shop sample.Shop) export {
	t.Helper()
	e := export{folder: t.TempDir()}
	var files []io.Writer
	for _, name := range []string{"customers.csv", "products.csv", "orders.csv"} {
		f, err := os.Create(filepath.Join(e.folder, name))
		require.NoError(t, err)
		defer f.Close()
		files = append(files, f)
	}
	var err error
	e.want, err = shop.Write(files[0], files[1], files[2])
	require.NoError(t, err)
	return e
}

// flags are those of the command that imports it.
func (e export) flags(slug string) []string {
	return []string{
		"import", "--storefront", slug, "--format", "shopify", "--customers", filepath.Join(e.folder, "customers.csv"),
		"--products", filepath.Join(e.folder, "products.csv"), "--orders", filepath.Join(e.folder, "orders.csv"),
	}
}

type report struct {
	ID, State string
	Files     []struct {
		Kind                                  string
		Records, Imported, Unchanged, Skipped int
	}
	Failure   *struct{ Detail string }
	Omissions []struct {
		File, Code, Detail string
		Line               int
		Skipped            bool
	}
}

// file is what the report says of the file of a kind.
func (r *report) file(t *testing.T, kind string) (records, imported, unchanged, skipped int) {
	t.Helper()
	for _, f := range r.Files {
		if f.Kind == kind {
			return f.Records, f.Imported, f.Unchanged, f.Skipped
		}
	}
	require.Fail(t, "the report misses a file", kind)
	return
}

// imports runs the command and expects all of the export to be there then, by this run
// or an earlier one; it returns how many records this one has brought.
func (p *program) imports(t *testing.T, slug string, e export) (brought int) {
	t.Helper()
	return e.brought(t, p.must(t, append(e.flags(slug), "--json")...))
}

// brought judges what the command printed.
func (e export) brought(t *testing.T, printed string) (brought int) {
	t.Helper()
	var r report
	require.NoError(t, json.Unmarshal([]byte(printed), &r), "%s", printed)
	require.Equal(t, "completed", r.State)
	skips := 0
	for kind, want := range map[string]int{"customers": e.want.Customers.Importable, "products": e.want.Products.Products, "orders": e.want.Orders.Orders} {
		records, imported, unchanged, skipped := r.file(t, kind)
		require.Equal(t, want, imported+unchanged, kind)
		require.Equal(t, records, want+skipped, kind)
		brought, skips = brought+imported, skips+skipped
	}
	require.Equal(t, e.want.Customers.Rows-e.want.Customers.Importable, skips)
	told := 0
	for _, o := range r.Omissions {
		require.NotEmpty(t, o.Detail)
		if o.Skipped {
			told++
		}
	}
	require.Equal(t, skips, told, "each is told by file and line")
	return brought
}

// sells counts the products that visitors see.
func (p *program) sells(t *testing.T, slug string) (n int) {
	t.Helper()
	for cursor := ""; ; {
		var page struct {
			Data       []json.RawMessage
			NextCursor string `json:"next_cursor"`
		}
		status, _ := p.askInto(t, &page, "GET", slug+"/products?limit=100&cursor="+cursor, "", nil)
		require.Equal(t, http.StatusOK, status)
		n += len(page.Data)
		if cursor = page.NextCursor; cursor == "" {
			return n
		}
	}
}

// TestImport brings the small made-up shop into a new storefront, as the README says.
func TestImport(t *testing.T) {
	t.Parallel()
	p := install(t)
	e := p.export(t, sample.Small)
	require.Positive(t, p.sells(t, "demo"), "the first start has imported it, too")
	require.Zero(t, p.imports(t, "demo", e))

	p.must(t, "storefront", "create", "toys", "files-1")
	require.Zero(t, p.sells(t, "toys"))
	everything := e.want.Customers.Importable + e.want.Products.Products + e.want.Orders.Orders
	require.Equal(t, everything, p.imports(t, "toys", e))
	require.Equal(t, p.sells(t, "demo"), p.sells(t, "toys"))
	require.Zero(t, p.imports(t, "toys", e), "a second run changes nothing")
	out := p.must(t, e.flags("toys")...)
	require.Contains(t, out, "completed")
	require.Regexp(t, `customers.csv:\d+  skipped: The customer has no e-mail address`, out)

	status, answer, _ := p.ask(t, "POST", "toys/auth/login", "", map[string]any{"email": "okoye.125@example.com", "password": ""})
	require.Equal(t, http.StatusUnauthorized, status, "who is imported has no password: %s", answer.Code)
}

// TestImportRefuses: bad input imports nothing and says what to do.
func TestImportRefuses(t *testing.T) {
	t.Parallel()
	p := install(t, "SMARTSELLER_IMPORT_MIB=1")
	p.must(t, "storefront", "create", "toys", "files-1")
	e := p.export(t, sample.Small)
	file := func(name, text string) string {
		path := filepath.Join(e.folder, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	products, err := os.ReadFile(filepath.Join(e.folder, "products.csv"))
	require.NoError(t, err)
	broken := file("broken.csv", string(products)+"kite,too,few\n")
	large := file("large.csv", string(products)+strings.Repeat("\n", 1<<20))
	customers := filepath.Join(e.folder, "customers.csv")
	for _, c := range []struct {
		args []string
		code int
		says []string
	}{
		{[]string{"--storefront", "toys", "--customers", customers, "--products", broken}, 65, []string{"Nothing was imported", "broken.csv, line ", "not as many values"}},
		{[]string{"--storefront", "toys", "--products", large}, 65, []string{"larger than 1048576 bytes"}},
		{[]string{"--storefront", "toys", "--orders", customers}, 65, []string{"customers.csv, line 1", "is this the right file?"}},
		{[]string{"--storefront", "toys"}, 65, []string{"nothing to import"}},
		{[]string{"--storefront", "nobody", "--customers", customers}, 66, []string{"no such storefront"}},
		{[]string{"--storefront", "toys", "--customers", "missing.csv"}, 66, []string{"no file missing.csv"}},
		{[]string{"--storefront", "toys", "--customers", e.folder}, 65, []string{"is not a file"}},
		{[]string{"--storefront", "toys", "--format", "tar", "--customers", customers}, 64, []string{"--format"}},
		{[]string{"--customers", customers}, 64, []string{"--storefront"}},
		{[]string{"--storefront", "toys", "--customers", customers, "--token", "wrong"}, 77, []string{"not valid"}},
	} {
		out, code := p.command(t, append([]string{"import"}, c.args...)...)
		require.Equal(t, c.code, code, "%v: %s", c.args, out)
		for _, says := range c.says {
			require.Contains(t, out, says, "%v", c.args)
		}
	}
	everything := e.want.Customers.Importable + e.want.Products.Products + e.want.Orders.Orders
	require.Equal(t, everything, p.imports(t, "toys", e), "nothing was there")
}

// TestImportWhileMoving: an import goes on through a cutover, and what it has brought is
// on either side.
func TestImportWhileMoving(t *testing.T) {
	t.Parallel()
	p := install(t)
	e := p.export(t, sample.Shop{Seed: 5, Customers: 2000, Products: 150, Orders: 5000})
	p.must(t, "storefront", "create", "toys", "files-1")
	move := strings.Fields(p.must(t, "move", "start", "toys", "files-2", "--manual"))[0]
	p.waitFor(t, move, "verifying")
	printed := make(chan string, 1)
	go func() {
		out, _ := p.command(t, append(e.flags("toys"), "--json")...)
		printed <- out
	}()
	require.Eventually(t, func() bool { return len(p.list(t, "toys")) == 1 }, patience, glance)
	p.must(t, "move", "cutover", move)
	p.waitFor(t, move, "watching")
	everything := e.want.Customers.Importable + e.want.Products.Products + e.want.Orders.Orders
	require.Equal(t, everything, e.brought(t, <-printed))
	require.Zero(t, p.imports(t, "toys", e), "all is at the new place")
	p.must(t, "move", "rollback", move)
	p.waitFor(t, move, "rolled_back")
	require.Zero(t, p.imports(t, "toys", e), "all is back at the old place")
}

// importsAPI asks the admin API of a storefront's imports.
func (p *program) importsAPI(t *testing.T, out any, method, path, kind string, body io.Reader) int {
	t.Helper()
	token, err := os.ReadFile(filepath.Join(p.folder, "data", "admin.token"))
	require.NoError(t, err)
	request, err := http.NewRequest(method, p.url()+"/api/admin/storefronts/"+path, body)
	require.NoError(t, err)
	request.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	request.Header.Set("Content-Type", kind)
	response, err := p.contract.client().Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	require.NoError(t, json.NewDecoder(response.Body).Decode(out))
	return response.StatusCode
}

// list reads a storefront's imports, newest first.
func (p *program) list(t *testing.T, slug string) []report {
	t.Helper()
	var page struct{ Data []report }
	require.Equal(t, http.StatusOK, p.importsAPI(t, &page, http.MethodGet, slug+"/imports", "", nil))
	return page.Data
}

// TestImportAPI uploads as any client would, and holds the answers against the document.
func TestImportAPI(t *testing.T) {
	t.Parallel()
	p := install(t)
	p.must(t, "storefront", "create", "toys", "files-1")
	form := func(field, content string) (string, io.Reader) {
		var b bytes.Buffer
		w := multipart.NewWriter(&b)
		part, err := w.CreateFormFile(field, field+".csv")
		require.NoError(t, err)
		_, err = part.Write([]byte(content))
		require.NoError(t, err)
		require.NoError(t, w.Close())
		return w.FormDataContentType(), &b
	}
	customers, err := sample.Files.ReadFile("customers.csv")
	require.NoError(t, err)
	var begun report
	kind, body := form("customers", string(customers))
	require.Equal(t, http.StatusAccepted, p.importsAPI(t, &begun, http.MethodPost, "toys/imports", kind, body))
	require.Eventually(t, func() bool {
		var now report
		require.Equal(t, http.StatusOK, p.importsAPI(t, &now, http.MethodGet, "toys/imports/"+begun.ID, "", nil))
		return now.State == "completed"
	}, patience, glance)
	var page struct{ Data []struct{ Code string } }
	require.Equal(t, http.StatusOK, p.importsAPI(t, &page, http.MethodGet, "toys/imports/"+begun.ID+"/omissions?limit=3", "", nil))
	require.Len(t, page.Data, 3)
	var problem struct{ Code string }
	kind, body = form("gifts", "x")
	for _, c := range []struct {
		method, path, kind string
		body               io.Reader
		status             int
		code               string
	}{
		{http.MethodPost, "nobody/imports", kind, strings.NewReader(""), 404, "storefront_not_found"},
		{http.MethodGet, "toys/imports/none", "", nil, 404, "import_not_found"},
		{http.MethodGet, "demo/imports/" + begun.ID, "", nil, 404, "import_not_found"},
		{http.MethodGet, "toys/imports?limit=0", "", nil, 422, "invalid_input"},
		{http.MethodPost, "toys/imports", kind, body, 422, "invalid_input"},
		{http.MethodPost, "toys/imports?format=tar", kind, strings.NewReader(""), 422, "invalid_input"},
		{http.MethodPost, "toys/imports", "application/json", strings.NewReader("{}"), 415, "unsupported_media_type"},
		{http.MethodPost, "toys/imports", kind, strings.NewReader("no form"), 400, "upload_broken"},
	} {
		require.Equal(t, c.status, p.importsAPI(t, &problem, c.method, c.path, c.kind, c.body), "%s %s", c.method, c.path)
		require.Equal(t, c.code, problem.Code, "%s %s", c.method, c.path)
	}
}

// TestKilledImport: killed in the middle, an import says so after the restart, leaves no
// file, and a rerun completes it.
func TestKilledImport(t *testing.T) {
	t.Parallel()
	p := install(t)
	e := p.export(t, sample.Small)
	p.must(t, "storefront", "create", "toys", "files-1")
	p.arm(t, "import-batch")
	told := make(chan string, 1)
	go func() {
		out, code := p.command(t, e.flags("toys")...)
		told <- fmt.Sprintf("%d: %s", code, out)
	}()
	p.diesAt(t, "import-batch")
	left, err := os.ReadDir(filepath.Join(p.folder, "data", "spool"))
	require.NoError(t, err)
	require.Empty(t, left)

	p.serve(t)
	var killed report
	require.Eventually(t, func() bool {
		killed = p.list(t, "toys")[0]
		return killed.State == "interrupted"
	}, patience, glance)
	require.Contains(t, killed.Failure.Detail, "import the same files again")
	said := <-told
	require.Regexp(t, "^69: ", said)
	if strings.Contains(said, "checking") || strings.Contains(said, "writing") { // or the server died before it had answered
		require.Contains(t, said, "The import was cut off", "who began it is told as well")
	}
	everything := e.want.Customers.Importable + e.want.Products.Products + e.want.Orders.Orders
	brought := p.imports(t, "toys", e)
	require.Positive(t, brought)
	require.Less(t, brought, everything, "a part was there")
	require.Zero(t, p.imports(t, "toys", e))
	require.Equal(t, p.sells(t, "demo"), p.sells(t, "toys"))
}
