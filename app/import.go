package app

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"smartseller/platform/fault"
)

type importCommand struct {
	remote
	Storefront string   `required:"" help:"Id or slug of where to."`
	Format     string   `default:"shopify" enum:"shopify" help:"Whose export it is: shopify."`
	Customers  []string `placeholder:"FILE" sep:"none" help:"A file of customers; may be given several times."`
	Products   []string `placeholder:"FILE" sep:"none" help:"A file of products; may be given several times."`
	Orders     []string `placeholder:"FILE" sep:"none" help:"A file of orders; may be given several times."`
	JSON       bool     `name:"json" help:"Print the report as JSON."`
}

// importReport is what the server tells of an import.
type importReport struct {
	ID        string         `json:"id"`
	State     string         `json:"state"`
	Files     []importedFile `json:"files"`
	Failure   *importFailure `json:"failure,omitempty"`
	CreatedAt int64          `json:"created_at"`
	EndedAt   *int64         `json:"ended_at,omitempty"`
	Omissions []omission     `json:"omissions"`
}

type importedFile struct {
	Kind      string           `json:"kind"`
	Name      string           `json:"name"`
	Bytes     int64            `json:"bytes"`
	Checked   int64            `json:"checked_bytes"`
	Records   int64            `json:"records"`
	Imported  int64            `json:"imported"`
	Unchanged int64            `json:"unchanged"`
	Skipped   int64            `json:"skipped"`
	Parts     map[string]int64 `json:"parts,omitempty"`
	Omissions map[string]int64 `json:"omissions,omitempty"`
}

type importFailure struct {
	Status int    `json:"status"`
	Code   string `json:"code"`
	Detail string `json:"detail"`
	File   string `json:"file,omitempty"`
	Line   int    `json:"line,omitempty"`
	Column string `json:"column,omitempty"`
}

type omission struct {
	File    string `json:"file"`
	Line    int64  `json:"line"`
	Code    string `json:"code"`
	Skipped bool   `json:"skipped"`
	Detail  string `json:"detail"`
}

// lookEvery is how often a command asks how far an import is.
const lookEvery = 300 * time.Millisecond

// Run uploads the files, shows how the import goes, and prints its report.
func (c *importCommand) Run(ctx context.Context, out io.Writer) error {
	i, err := c.begin(ctx)
	if err != nil {
		return err
	}
	told := out
	if c.JSON {
		told = io.Discard
	}
	if err := c.follow(ctx, i, told); err != nil {
		return err
	}
	if i.Omissions, err = c.omissions(ctx, i.ID); err != nil {
		return err
	}
	if c.JSON {
		err = print(out, i)
	} else if i.Failure == nil || i.wrote() {
		err = i.write(out)
	}
	if f := i.Failure; f != nil {
		return fault.New(fault.KindOfStatus(f.Status), f.Code, "%s", f.Detail)
	}
	return err
}

func (c *importCommand) path() string {
	return storefrontsPath + "/" + url.PathEscape(c.Storefront) + "/imports"
}

func (c *importCommand) begin(ctx context.Context) (*importReport, error) {
	files, err := openFiles(map[string][]string{"customers": c.Customers, "products": c.Products, "orders": c.Orders})
	if err != nil {
		return nil, err
	}
	defer files.Close()
	response, err := c.transmit(ctx, http.MethodPost, c.path()+"?format="+url.QueryEscape(c.Format), &files.message)
	i := &importReport{}
	if err == nil {
		defer response.Body.Close()
		if response.StatusCode != http.StatusAccepted {
			return nil, problem(response)
		}
		err = json.NewDecoder(response.Body).Decode(i)
	}
	if err != nil && ctx.Err() != nil {
		return nil, fault.New(fault.Timeout, "given_up", "The upload was given up: nothing is imported, unless all of it had arrived; that is listed at %s%s.", c.URL, c.path()).Because(err)
	}
	return i, err
}

// follow asks until the import has ended, and says how far it is. A server that is started
// anew meanwhile says what has become of it.
func (c *importCommand) follow(ctx context.Context, i *importReport, out io.Writer) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	alive := time.Now()
	for said := ""; ; {
		if now := i.progress(); now != said {
			fmt.Fprintln(out, now)
			said = now
		}
		if i.EndedAt != nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fault.New(fault.Timeout, "left", "The import goes on without you; its report will be at %s%s/%s.", c.URL, c.path(), i.ID)
		case <-tick.C:
		}
		fresh := &importReport{}
		err := c.call(ctx, http.MethodGet, c.path()+"/"+i.ID, nil, fresh)
		switch {
		case err == nil:
			*i, alive = *fresh, time.Now()
		case ctx.Err() == nil && (!passing(err) || time.Since(alive) > reconnectFor):
			return err
		}
	}
}

// progress says in a line how far the import is, in steps of ten percent.
func (i *importReport) progress() string {
	done, all := int64(0), int64(0)
	for _, f := range i.Files {
		if i.State == "checking" {
			done, all = done+f.Checked, all+f.Bytes
		} else {
			done, all = done+f.Imported+f.Unchanged+f.Skipped, all+f.Records
		}
	}
	if i.EndedAt != nil || all == 0 {
		return i.State
	}
	return fmt.Sprintf("%-9s %3d %%", i.State, 10*(10*done/all))
}

func (c *importCommand) omissions(ctx context.Context, id string) ([]omission, error) {
	all := []omission{}
	err := c.pages(ctx, c.path()+"/"+id+"/omissions?limit=1000", func(said json.RawMessage) error {
		var o omission
		err := json.Unmarshal(said, &o)
		all = append(all, o)
		return err
	})
	return all, err
}

// wrote says whether anything was written.
func (i *importReport) wrote() bool {
	return slices.ContainsFunc(i.Files, func(f importedFile) bool { return f.Imported > 0 })
}

// write prints the report for people.
func (i *importReport) write(out io.Writer) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "\nfile\trecords\timported\tunchanged\tskipped\twith")
	for _, f := range i.Files {
		var with []string
		for _, part := range slices.Sorted(maps.Keys(f.Parts)) {
			with = append(with, fmt.Sprintf("%d %s", f.Parts[part], strings.ReplaceAll(part, "_", " ")))
		}
		fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%d\t%s\n", f.Name, f.Records, f.Imported, f.Unchanged, f.Skipped, strings.Join(with, ", "))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if len(i.Omissions) > 0 {
		fmt.Fprintln(out, "\nleft out:")
	}
	for _, o := range i.Omissions {
		what := "skipped"
		if !o.Skipped {
			what = "in part"
		}
		fmt.Fprintf(out, "  %s:%d  %s: %s\n", o.File, o.Line, what, o.Detail)
	}
	if more := i.leftOut() - int64(len(i.Omissions)); more > 0 {
		fmt.Fprintf(out, "  and %d more, which are counted and not listed\n", more)
	}
	return nil
}

// leftOut counts what was left out, listed or not.
func (i *importReport) leftOut() (n int64) {
	for _, f := range i.Files {
		for _, times := range f.Omissions {
			n += times
		}
	}
	return n
}
