package app

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"

	"smartseller/platform/fault"
)

type checkReceipt struct {
	remote
	output
	File string `arg:"" help:"What 'move show --json' printed, or the receipt in it; -: standard input."`
}

var (
	errNoReceipt = fault.New(fault.Invalid, "no_receipt", "There is no receipt in it: a move that was completed, rolled back or rehearsed has one, and 'smartseller move show --json' prints it.")
	errForged    = fault.New(fault.Conflict, "receipt_differs", "The receipt is not as this platform signed it: it was changed, or another platform's master key signed it.")
)

// Run asks the server, which has the key. One that is not genuine is an error.
func (c *checkReceipt) Run(ctx context.Context, out io.Writer) error {
	signed, err := readReceipt(c.File)
	if err != nil {
		return err
	}
	var said json.RawMessage
	if err := c.call(ctx, http.MethodPost, "/api/admin/move-receipt-checks", signed, &said); err != nil {
		return err
	}
	var check struct{ Genuine bool }
	if err := json.Unmarshal(said, &check); err != nil {
		return err
	}
	if !check.Genuine {
		return errForged
	}
	return answer(c.output, out, said, func(struct{}) string { return "genuine: as this platform signed it" })
}

// readReceipt finds the signed receipt in what was kept.
func readReceipt(file string) (json.RawMessage, error) {
	text, err := os.ReadFile(file)
	if file == "-" {
		text, err = io.ReadAll(os.Stdin)
	}
	if err != nil {
		return nil, fault.New(fault.Invalid, "unreadable", "The file %s cannot be read: name one that holds what 'move show --json' printed.", file).Because(err)
	}
	for range 2 { // the whole move has it one level below
		var kept struct {
			Receipt json.RawMessage
			HMAC    string `json:"hmac_sha256"`
		}
		if err := json.Unmarshal(text, &kept); err != nil {
			return nil, errNoReceipt
		}
		if kept.HMAC != "" {
			return text, nil
		}
		text = kept.Receipt
	}
	return nil, errNoReceipt
}
