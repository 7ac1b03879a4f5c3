package app

import (
	"context"
	"encoding/json"
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
	RevokeTokens  revokeTokens  `cmd:"" help:"Make an admin's tokens in files void; no server need run." example:"smartseller admin revoke-tokens admin@example.com"`
}

type createAdmin struct {
	installation
	output
	Email string `arg:"" help:"E-mail address, the name to log in by."`
	Role  string `default:"platform-admin" enum:"platform-admin,auditor,seller" help:"platform-admin may do everything, auditor may read, seller sees the moves of one storefront."`

	Storefront string `help:"Of a seller: id or slug."`
}

// Run works on the control database itself, which it makes where there is none yet.
func (c *createAdmin) Run(ctx context.Context, out io.Writer) error {
	made := ""
	if !c.begun() {
		made = c.where()
	}
	return c.withAdmins(ctx, func(admins *auth.Service) error {
		password, err := c.create(ctx, admins)
		if err != nil {
			return err
		}
		return newPassword{c.Email, password, made}.print(c.output, out)
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
	output
	Email string `arg:"" help:"The admin's e-mail address."`
}

// Run works on the control database itself.
func (c *resetPassword) Run(ctx context.Context, out io.Writer) error {
	return c.withAdminsThere(ctx, func(admins *auth.Service) error {
		password, err := admins.ResetPassword(ctx, operator(), c.Email)
		if err != nil {
			return err
		}
		return newPassword{Email: c.Email, Password: password}.print(c.output, out)
	})
}

type revokeTokens struct {
	installation
	output
	Email string `arg:"" help:"The admin's e-mail address."`
}

// Run works on the control database itself.
func (c *revokeTokens) Run(ctx context.Context, out io.Writer) error {
	return c.withAdminsThere(ctx, func(admins *auth.Service) error {
		n, err := admins.RevokeTokens(ctx, operator(), c.Email)
		if err != nil {
			return err
		}
		said, err := json.Marshal(revokedTokens{c.Email, n})
		if err != nil {
			return err
		}
		return answer(c.output, out, said, revokedTokens.String)
	})
}

// revokedTokens says whose tokens are void now, and how many these were.
type revokedTokens struct {
	Email   string `json:"email"`
	Revoked int64  `json:"revoked"`
}

func (r revokedTokens) String() string {
	return fmt.Sprintf("%d tokens of %s are void\n  to come in again: smartseller admin reset-password %s", r.Revoked, r.Email, r.Email)
}

// newPassword is what an admin logs in with next, and once.
type newPassword struct {
	Email    string `json:"email"`
	Password string `json:"one_time_password"`
	Made     string `json:"installation_made,omitempty"` // where one is that was not there before
}

func (p newPassword) String() string {
	said := "one-time password: " + p.Password + "\n  it is shown here only; the first login must replace it by a new_password"
	if p.Made != "" {
		said += "\n  a new installation was made at " + p.Made
	}
	return said
}

func (p newPassword) print(o output, out io.Writer) error {
	said, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return answer(o, out, said, newPassword.String)
}

// withAdminsThere is withAdmins for what makes no sense in a new installation.
func (i installation) withAdminsThere(ctx context.Context, fn func(*auth.Service) error) error {
	if !i.begun() {
		return fault.New(fault.NotFound, "no_installation", "There is no installation at %s: say by --data or --control where it is.", i.where())
	}
	return i.withAdmins(ctx, fn)
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
