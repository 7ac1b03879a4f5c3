package orders

import "smartseller/backends"

var (
	orderIDs     = backends.Read(`SELECT id FROM orders WHERE storefront_id = $1 AND id IN ($2)`)
	orderNumbers = backends.Read(`SELECT number FROM orders WHERE storefront_id = $1 AND number IN ($2)`)
)

// Reserve makes orders to come get numbers above that one.
func Reserve(tx backends.Tx, number int64) error {
	_, err := tx.Exec(raiseNumber, number)
	return err
}

// Known finds those of up to backends.MaxList ids, and of as many numbers, that
// orders have.
func Known(tx backends.Tx, ids, numbers backends.List) (byID map[string]bool, byNumber map[int64]bool, err error) {
	var foundIDs []string
	var foundNumbers []int64
	if err := tx.Select(&foundIDs, orderIDs, ids); err != nil {
		return nil, nil, err
	}
	if err := tx.Select(&foundNumbers, orderNumbers, numbers); err != nil {
		return nil, nil, err
	}
	byID, byNumber = map[string]bool{}, map[int64]bool{}
	for _, id := range foundIDs {
		byID[id] = true
	}
	for _, number := range foundNumbers {
		byNumber[number] = true
	}
	return byID, byNumber, nil
}
