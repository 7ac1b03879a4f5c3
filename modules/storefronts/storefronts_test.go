package storefronts

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/backends/sqlite"
	"smartseller/platform/control/controltest"
	"smartseller/platform/crypto"
	"smartseller/platform/fault"
	"smartseller/platform/ids"
)

// fleet is a service with a backend of files, files-1.
type fleet struct {
	*Service
	t *testing.T
}

func newFleet(t *testing.T) *fleet {
	t.Helper()
	db := controltest.Open(t)
	keys, err := crypto.New(make([]byte, crypto.MasterKeySize))
	require.NoError(t, err)
	catalog, err := backends.NewCatalog()
	require.NoError(t, err)
	directory := backends.NewDirectory(db, keys, catalog, map[backends.Kind]backends.Opener{backends.SQLite: sqlite.Opener(catalog)})
	stores := backends.NewStores(directory, 4)
	t.Cleanup(func() { require.NoError(t, stores.Close()) })
	f := &fleet{NewService(db, directory, stores), t}
	require.NoError(t, f.AddBackend(context.Background(), backends.Config{Name: "files-1", Kind: backends.SQLite, Path: t.TempDir()}))
	return f
}

func (f *fleet) create(slug string) Storefront {
	f.t.Helper()
	made, err := f.Create(context.Background(), NewStorefront{Slug: slug, Name: slug, Currency: "EUR", TimeZone: "UTC", Backend: "files-1"})
	require.NoError(f.t, err)
	return made
}

// TestWhatAStorefrontMayBe: one wrong value names its field and makes nothing.
func TestWhatAStorefrontMayBe(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	good := NewStorefront{Slug: "toys", Name: "Toys", Currency: "EUR", TimeZone: "Europe/Berlin", Backend: "files-1"}
	for _, c := range []struct {
		wrong   func(n *NewStorefront)
		pointer string
	}{
		{func(n *NewStorefront) { n.Slug = "to" }, "/slug"},
		{func(n *NewStorefront) { n.Slug = "Toys" }, "/slug"},
		{func(n *NewStorefront) { n.Slug = "-toys" }, "/slug"},
		{func(n *NewStorefront) { n.Slug = "xn--toys" }, "/slug"},
		{func(n *NewStorefront) { n.Slug = "admin" }, "/slug"},
		{func(n *NewStorefront) { n.Slug = ids.New() }, "/slug"},
		{func(n *NewStorefront) { n.Slug = strings.Repeat("a", 64) }, "/slug"},
		{func(n *NewStorefront) { n.Name = "To\x1bys" }, "/name"},
		{func(n *NewStorefront) { n.Currency = "XQZ" }, "/currency"},
		{func(n *NewStorefront) { n.Currency = "eur" }, "/currency"},
		{func(n *NewStorefront) { n.TimeZone = "" }, "/time_zone"},
		{func(n *NewStorefront) { n.TimeZone = "Local" }, "/time_zone"},
		{func(n *NewStorefront) { n.TimeZone = "../etc/passwd" }, "/time_zone"},
	} {
		bad := good
		c.wrong(&bad)
		_, err := f.Create(context.Background(), bad)
		require.Error(t, err, "%+v", bad)
		told := fault.Of(err)
		require.Equal(t, fault.Invalid, told.Kind, "%+v", bad)
		require.Equal(t, c.pointer, told.Fields[0].Pointer, "%+v", bad)
	}
	elsewhere := good
	elsewhere.Backend = "nowhere"
	_, err := f.Create(context.Background(), elsewhere)
	require.ErrorIs(t, err, backends.ErrNoBackend)
	none, err := f.List(context.Background(), "", 10)
	require.NoError(t, err)
	require.Empty(t, none)
	_, err = f.Create(context.Background(), good)
	require.NoError(t, err)
	_, err = f.Create(context.Background(), good)
	require.ErrorIs(t, err, ErrSlugTaken)
}
