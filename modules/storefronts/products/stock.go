package products

import (
	"fmt"
	"slices"

	"smartseller/backends"
	"smartseller/platform/fault"
)

// ErrOutOfStock is what a Shortage is to the customer who meets it.
var ErrOutOfStock = fault.New(fault.Conflict, "out_of_stock", "There is not enough left of something that is ordered; see errors.")

// Offer is a variant that can be bought, as a customer sees it.
type Offer struct {
	ID               string `db:"id"`
	Product          string `db:"product"` // its title
	Title            string `db:"title"`
	SKU              string `db:"sku"`
	Vendor           string `db:"vendor"`
	Price            int64  `db:"price"` // minor units
	CompareAtPrice   *int64 `db:"compare_at_price"`
	Currency         string `db:"currency"`
	Counted          bool   `db:"counted"` // its stock goes down as it is sold
	RequiresShipping bool   `db:"requires_shipping"`
	Taxable          bool   `db:"taxable"`
}

// Name is what the variant is called on a bill.
func (o *Offer) Name() string {
	if o.Title == "" {
		return o.Product
	}
	return o.Product + " - " + o.Title
}

// Shortage says that less is left of a variant than was wanted. It is an
// ErrOutOfStock.
type Shortage struct {
	Variant string // its id
	Left    int64
}

func (s *Shortage) Error() string {
	return fmt.Sprintf("out_of_stock: %d are left of variant %s", s.Left, s.Variant)
}

// Unwrap makes errors.Is(err, ErrOutOfStock) true.
func (s *Shortage) Unwrap() error { return ErrOutOfStock }

var (
	selectOffers = backends.Read(`SELECT v.id, p.title AS product, v.title, v.sku, p.vendor, v.price, v.compare_at_price, v.currency,
		CASE WHEN v.inventory IS NULL THEN 0 ELSE 1 END AS counted, v.requires_shipping, v.taxable
		FROM product_variants v JOIN products p ON p.storefront_id = $1 AND p.id = v.product_id
		WHERE v.storefront_id = $1 AND v.id IN ($2) AND p.published = 1`)
	// Everybody locks in the order of keys, so that nobody waits in a circle.
	lockStock = backends.Lock(`SELECT id, inventory, backorder FROM product_variants
		WHERE storefront_id = $1 AND id IN ($2) AND inventory IS NOT NULL ORDER BY id`)
	takeStock = backends.Write(variantsTable, `UPDATE product_variants SET inventory = inventory - $3, updated_at = $4, version = version + 1
		WHERE storefront_id = $1 AND id IN ($2) AND inventory IS NOT NULL`)
)

// Offers finds those of up to backends.MaxList variants that are sold, by id.
func Offers(tx backends.Tx, variants backends.List) (map[string]Offer, error) {
	var found []Offer
	if err := tx.Select(&found, selectOffers, variants); err != nil {
		return nil, err
	}
	offers := make(map[string]Offer, len(found))
	for _, o := range found {
		offers[o.ID] = o
	}
	return offers, nil
}

// Take takes quantities of up to backends.MaxList variants, by id, out of the stock
// where that is counted; a *Shortage when there is less of one. It takes a round
// trip for the lock, and one for each quantity that differs from the others.
func Take(tx backends.Tx, wanted map[string]int64) error {
	if len(wanted) == 0 {
		return nil
	}
	var variants backends.List
	for id := range wanted {
		variants = append(variants, id)
	}
	slices.Sort(variants)
	var stock []Variant
	if err := tx.Select(&stock, lockStock, variants); err != nil {
		return err
	}
	byQuantity := map[int64]backends.List{}
	for i := range stock {
		id := stock[i].ID
		if !stock[i].Has(wanted[id]) {
			return &Shortage{Variant: id, Left: max(0, *stock[i].Inventory)}
		}
		byQuantity[wanted[id]] = append(byQuantity[wanted[id]], id)
	}
	for quantity, ids := range byQuantity {
		if _, err := tx.Exec(takeStock, ids, quantity, tx.Now().UnixMicro()); err != nil {
			return err
		}
	}
	return nil
}
