package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"

	"smartseller/modules/auth"
	"smartseller/platform/fault"
)

type adminCommand struct {
	Create        createAdmin   `cmd:"" help:"Make an admin; no server need run." example:"smartseller admin create ada@example.com"`
	ResetPassword resetPassword `cmd:"" help:"Give an admin a new one-time password; no server need run." example:"smartseller admin reset-password ada@example.com"`
}

type createAdmin struct {
	installation
	Email string `arg:"" help:"E-mail address, the name to log in by."`
	Role  string `default:"platform-admin" enum:"platform-admin,auditor,seller" help:"platform-admin may do everything, auditor may read, seller sees the moves of one storefront."`

	Storefront string `help:"Of a seller: id or slug."`
}

// Run works on the control database itself.
func (c *createAdmin) Run(ctx context.Context, out io.Writer) error {
	return c.withAdmins(ctx, func(admins *auth.Service) error {
		password, err := c.create(ctx, admins)
		if err != nil {
			return err
		}
		return printPassword(out, password)
	})
}

func (c *createAdmin) create(ctx context.Context, admins *auth.Service) (password string, err error) {
	if (c.Role == auth.Seller) != (c.Storefront != "") {
		return "", fault.New(fault.Invalid, "seller_storefront", "A seller, and nobody else, needs a --storefront.")
	}
	if c.Role == auth.Seller {
		return admins.CreateSeller(ctx, operator(), c.Email, c.Storefront)
	}
	return admins.Create(ctx, operator(), c.Email, c.Role)
}

type resetPassword struct {
	installation
	Email string `arg:"" help:"The admin's e-mail address."`
}

// Run works on the control database itself.
func (c *resetPassword) Run(ctx context.Context, out io.Writer) error {
	return c.withAdmins(ctx, func(admins *auth.Service) error {
		password, err := admins.ResetPassword(ctx, operator(), c.Email)
		if err != nil {
			return err
		}
		return printPassword(out, password)
	})
}

func printPassword(out io.Writer, password string) error {
	_, err := fmt.Fprintf(out, "one-time password: %s\n  it is shown here only; the first login must replace it by a new_password\n", password)
	return err
}

// withAdmins opens the installation's admins for fn.
func (i installation) withAdmins(ctx context.Context, fn func(*auth.Service) error) (err error) {
	keys, err := i.keyring()
	if err != nil {
		return err
	}
	db, err := i.openControl(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	passwords, err := auth.NewPasswords()
	if err != nil {
		return err
	}
	return fn(auth.NewService(db, keys, passwords))
}

// operator names, for the audit, who works on the control database itself: whoever
// may do so need not be an admin.
func operator() string {
	name := "somebody"
	if who, err := user.Current(); err == nil {
		name = who.Username
	}
	host, err := os.Hostname()
	if err != nil {
		return "operator " + name
	}
	return "operator " + name + "@" + host
}
