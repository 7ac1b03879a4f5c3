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
