// Package orders takes customers' orders and keeps them. It is a part of the
// storefronts module.
package orders
