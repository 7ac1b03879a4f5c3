package orders

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"smartseller/backends"
	"smartseller/modules/customers"
	"smartseller/platform/httpx"
	"smartseller/platform/identity"
)

// OrderBody is what every answer says of an order. It is exported because huma
// describes embedded structs only then.
type OrderBody struct {
	ID                string `json:"id"`
	Number            int64  `json:"number"`
	Status            Status `json:"status" enum:"open,fulfilled,cancelled"`
	FinancialStatus   string `json:"financial_status"`
	FulfillmentStatus string `json:"fulfillment_status"`
	Currency          string `json:"currency" doc:"ISO 4217"`
	Subtotal          int64  `json:"subtotal" doc:"Minor units, as all amounts"`
	Shipping          int64  `json:"shipping"`
	Tax               int64  `json:"tax"`
	Discount          int64  `json:"discount"`
	Total             int64  `json:"total"`
	Refunded          int64  `json:"refunded"`
	PlacedAt          int64  `json:"placed_at" doc:"Microseconds UTC"`
	Version           int64  `json:"version"`
}

func bodyOf(o *Order) OrderBody {
	return OrderBody{
		ID: o.ID, Number: o.Number, Status: o.Status(), FinancialStatus: o.FinancialStatus, FulfillmentStatus: o.FulfillmentStatus,
		Currency: o.Currency, Subtotal: o.Subtotal, Shipping: o.Shipping, Tax: o.Tax, Discount: o.Discount, Total: o.Total, Refunded: o.Refunded,
		PlacedAt: o.PlacedAt, Version: o.Version,
	}
}

type orderLineBody struct {
	VariantID *string `json:"variant_id,omitempty" doc:"None: it is not in the catalogue"`
	Title     string  `json:"title"`
	SKU       string  `json:"sku,omitempty"`
	Quantity  int64   `json:"quantity"`
	Price     int64   `json:"price" doc:"Of one"`
	Discount  int64   `json:"discount" doc:"Of the whole line"`
}

type orderOutput struct {
	httpx.Tagged
	Location string `header:"Location" doc:"Where a new order is"`
	Body     struct {
		OrderBody
		Email           string          `json:"email"`
		ShippingAddress Address         `json:"shipping_address"`
		BillingAddress  Address         `json:"billing_address"`
		Note            string          `json:"note,omitempty"`
		Lines           []orderLineBody `json:"lines"`
	}
}

func outputOf(o *Order, err error) (*orderOutput, error) {
	if err != nil {
		return nil, err
	}
	out := &orderOutput{Tagged: httpx.Tag(o.Version)}
	b := &out.Body
	b.OrderBody, b.Email, b.Note = bodyOf(o), o.Email, o.Note
	b.ShippingAddress, b.BillingAddress, b.Lines = o.ShippingAddress, o.BillingAddress, make([]orderLineBody, len(o.Lines))
	for i, l := range o.Lines {
		b.Lines[i] = orderLineBody{VariantID: l.VariantID, Title: l.Title, SKU: l.SKU, Quantity: l.Quantity, Price: l.Price, Discount: l.Discount}
	}
	return out, nil
}

type placeOrderInput struct {
	customers.SlugInput
	httpx.Repeatable
	Body struct {
		Lines []struct {
			VariantID string `json:"variant_id" maxLength:"64"`
			Quantity  int64  `json:"quantity" minimum:"1" maximum:"10000"`
		} `json:"lines" minItems:"1" maxItems:"100" doc:"Each of another variant"`
		ShippingAddressID string `json:"shipping_address_id,omitempty" maxLength:"64" doc:"One of the customer's addresses; none: the default"`
		BillingAddressID  string `json:"billing_address_id,omitempty" maxLength:"64" doc:"None: the shipping address"`
		Note              string `json:"note,omitempty" maxLength:"1000"`
	}
}

func (in *placeOrderInput) wanted() Wanted {
	w := Wanted{ShippingAddressID: in.Body.ShippingAddressID, BillingAddressID: in.Body.BillingAddressID, Note: in.Body.Note}
	for _, l := range in.Body.Lines {
		w.Lines = append(w.Lines, WantedLine{VariantID: l.VariantID, Quantity: l.Quantity})
	}
	return w
}

type listOrdersInput struct {
	customers.SlugInput
	Status Status    `query:"status" enum:"open,fulfilled,cancelled"`
	From   time.Time `query:"from" format:"date-time" doc:"Placed then or later; RFC 3339"`
	To     time.Time `query:"to" format:"date-time" doc:"Placed earlier than that"`
	httpx.Page
}

type listOrdersOutput struct {
	Body struct {
		Data       []OrderBody `json:"data"`
		NextCursor string      `json:"next_cursor,omitempty"`
	}
}

type orderInput struct {
	customers.SlugInput
	httpx.Revalidation
	ID string `path:"id" maxLength:"64"`
}

// Routes lets customers order, and see what they ordered.
func Routes(server *httpx.Server, s *Service) {
	const path = "/api/storefront/{slug}/orders"
	operation := func(name, method, at, summary string, status int, more ...int) huma.Operation {
		return huma.Operation{
			OperationID: name, Method: method, Path: at, Summary: summary, DefaultStatus: status, Security: httpx.Customer,
			Errors: append(more, http.StatusForbidden, http.StatusNotFound),
		}
	}
	httpx.Register(server, operation("place-order", http.MethodPost, path, "Order something", http.StatusCreated, http.StatusConflict),
		func(ctx context.Context, in *placeOrderInput) (*orderOutput, error) {
			who := identity.CustomerOf(ctx)
			out, err := outputOf(s.Place(ctx, backends.StorefrontID(who.Storefront), who.ID, in.IdempotencyKey, in.wanted()))
			if err == nil {
				out.Location = "/api/storefront/" + in.Slug + "/orders/" + out.Body.ID
			}
			return out, err
		})
	httpx.Register(server, operation("list-orders", http.MethodGet, path, "List one's own orders, newest first", http.StatusOK, http.StatusBadRequest),
		func(ctx context.Context, in *listOrdersInput) (*listOrdersOutput, error) {
			who := identity.CustomerOf(ctx)
			found, next, err := s.List(ctx, backends.StorefrontID(who.Storefront), who.ID, NewFilter(in.Status, in.From, in.To), in.Cursor, in.Limit)
			out := &listOrdersOutput{}
			out.Body.Data, out.Body.NextCursor = make([]OrderBody, len(found)), next
			for i := range found {
				out.Body.Data[i] = bodyOf(&found[i])
			}
			return out, err
		})
	httpx.Register(server, operation("get-order", http.MethodGet, path+"/{id}", "Read one order", http.StatusOK),
		func(ctx context.Context, in *orderInput) (*orderOutput, error) {
			who := identity.CustomerOf(ctx)
			return outputOf(s.Find(ctx, backends.StorefrontID(who.Storefront), who.ID, in.ID))
		})
}
