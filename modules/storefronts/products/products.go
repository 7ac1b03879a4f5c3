// Package products keeps what a storefront sells: products, and of each the
// variants that can be bought. It is a part of the storefronts module.
package products
