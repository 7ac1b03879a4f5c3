package products

import (
	"context"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"smartseller/modules/storefronts"
	"smartseller/platform/httpx"
)

type variantBody struct {
	ID               string   `json:"id" doc:"What an order names"`
	Title            string   `json:"title"`
	Options          []string `json:"options" doc:"Its values of the product's options"`
	Image            string   `json:"image,omitempty" doc:"URL"`
	SKU              string   `json:"sku,omitempty"`
	Price            int64    `json:"price" doc:"Minor units"`
	CompareAtPrice   *int64   `json:"compare_at_price,omitempty" doc:"What it cost before, in minor units"`
	Currency         string   `json:"currency" doc:"ISO 4217"`
	Available        bool     `json:"available" doc:"At least one can be ordered"`
	RequiresShipping bool     `json:"requires_shipping"`
}

// ProductBody is what every answer says of a product. It is exported because huma
// describes embedded structs only then.
type ProductBody struct {
	ID       string        `json:"id"`
	Handle   string        `json:"handle"`
	Title    string        `json:"title"`
	Vendor   string        `json:"vendor,omitempty"`
	Kind     string        `json:"kind,omitempty"`
	Tags     []string      `json:"tags"`
	Options  []string      `json:"options" doc:"What its variants differ in"`
	Images   []string      `json:"images" doc:"URLs"`
	Variants []variantBody `json:"variants"`
}

func bodyOf(p *Product) ProductBody {
	b := ProductBody{
		ID: p.ID, Handle: p.Handle, Title: p.Title, Vendor: p.Vendor, Kind: p.Kind, Tags: []string{},
		Options: append([]string{}, p.Options...), Images: append([]string{}, p.Images...), Variants: make([]variantBody, len(p.Variants)),
	}
	for tag := range strings.SplitSeq(p.Tags, ",") {
		if tag = strings.TrimSpace(tag); tag != "" {
			b.Tags = append(b.Tags, tag)
		}
	}
	for i := range p.Variants {
		v := &p.Variants[i]
		b.Variants[i] = variantBody{
			ID: v.ID, Title: v.Title, Options: append([]string{}, v.Options...), Image: v.Image, SKU: v.SKU, Price: v.Price,
			CompareAtPrice: v.CompareAtPrice, Currency: v.Currency, Available: v.Has(1), RequiresShipping: v.RequiresShipping,
		}
	}
	return b
}

type listProductsInput struct {
	Slug   string `path:"slug"`
	Cursor string `query:"cursor" maxLength:"2200" doc:"next_cursor of the page before"`
	Limit  int    `query:"limit" minimum:"1" maximum:"100" default:"20" doc:"The most products of a page; very large ones make it shorter"`
}

type listProductsOutput struct {
	Body struct {
		Data       []ProductBody `json:"data"`
		NextCursor string        `json:"next_cursor,omitempty"`
	}
}

type productInput struct {
	Slug   string `path:"slug"`
	Handle string `path:"handle" maxLength:"255"`
}

type productOutput struct {
	Body struct {
		ProductBody
		Description string `json:"description" doc:"HTML, as the seller wrote it: clean it before it is shown"`
	}
}

// Routes shows what is sold to everybody.
func Routes(server *httpx.Server, s *Service, shops *storefronts.Service) {
	const path = "/api/storefront/{slug}/products"
	httpx.Register(server, huma.Operation{
		OperationID: "list-products", Method: http.MethodGet, Path: path, Summary: "List what is sold, without descriptions",
		Errors: []int{http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound},
	}, func(ctx context.Context, in *listProductsInput) (*listProductsOutput, error) {
		shop, err := shops.Open(ctx, in.Slug)
		if err != nil {
			return nil, err
		}
		found, next, err := s.List(ctx, shop.ID, in.Cursor, in.Limit)
		out := &listProductsOutput{}
		out.Body.Data, out.Body.NextCursor = make([]ProductBody, len(found)), next
		for i := range found {
			out.Body.Data[i] = bodyOf(&found[i])
		}
		return out, err
	})
	httpx.Register(server, huma.Operation{
		OperationID: "get-product", Method: http.MethodGet, Path: path + "/{handle}", Summary: "Show one product",
		Errors: []int{http.StatusForbidden, http.StatusNotFound},
	}, func(ctx context.Context, in *productInput) (*productOutput, error) {
		shop, err := shops.Open(ctx, in.Slug)
		if err != nil {
			return nil, err
		}
		p, err := s.Find(ctx, shop.ID, in.Handle)
		if err != nil {
			return nil, err
		}
		out := &productOutput{}
		out.Body.ProductBody, out.Body.Description = bodyOf(p), p.Description
		return out, nil
	})
}
