// Package identity carries who is asking through a request's context.
package identity

import "context"

type adminKey struct{}

// WithAdmin says that an admin asks.
func WithAdmin(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, adminKey{}, id)
}

// Admin is the id of the admin who asks; "" for nobody.
func Admin(ctx context.Context) string {
	id, _ := ctx.Value(adminKey{}).(string)
	return id
}

type sellerKey struct{}

// WithSeller says that the seller of a storefront asks.
func WithSeller(ctx context.Context, storefront string) context.Context {
	return context.WithValue(ctx, sellerKey{}, storefront)
}

// SellerOf is the id of the storefront whose seller asks; "" for nobody.
func SellerOf(ctx context.Context) string {
	id, _ := ctx.Value(sellerKey{}).(string)
	return id
}

// Customer is a customer who is logged in at one storefront.
type Customer struct {
	Storefront string
	ID         string
	Session    string
}

type customerKey struct{}

// WithCustomer says that a customer asks.
func WithCustomer(ctx context.Context, c Customer) context.Context {
	return context.WithValue(ctx, customerKey{}, c)
}

// CustomerOf is the customer who asks; the zero value for nobody.
func CustomerOf(ctx context.Context) Customer {
	c, _ := ctx.Value(customerKey{}).(Customer)
	return c
}
