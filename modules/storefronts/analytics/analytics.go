// Package analytics records what happens at a storefront, so that its seller can
// count it. It is a part of the storefronts module.
package analytics
