package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"

	"github.com/lib/pq"

	"smartseller/platform/pgserver"
)

// databases are the DSNs of what was prepared: roles as a careful operator would make
// them, none of them a superuser.
type databases struct {
	control        string // owns the control database
	sharedApp      string // owns nothing: row-level security holds it
	sharedOwner    string // owns the shared database, and sees what others do there
	dedicatedAdmin string // may make databases and roles, and sees what others do there
}

// prepare makes what is missing of roles and databases.
func prepare(ctx context.Context, server *pgserver.Server) (d databases, err error) {
	db, err := sql.Open("postgres", server.AdminDSN())
	if err != nil {
		return d, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	dsn := map[string]string{}
	for _, r := range []struct {
		role, attributes, database string
		sees                       bool // what other roles' sessions do
	}{
		{role: "smartseller_control", database: "smartseller_control"},
		{role: "smartseller_owner", database: "smartseller_shared", sees: true},
		{role: "smartseller_app"},
		{role: "smartseller_admin", attributes: "CREATEDB CREATEROLE", sees: true},
	} {
		password := passwordOf(server, r.role)
		if err := makeMissing(ctx, db, `SELECT count(*) FROM pg_roles WHERE rolname = $1`, r.role,
			"CREATE ROLE "+pq.QuoteIdentifier(r.role)+" LOGIN "+r.attributes+" PASSWORD "+pq.QuoteLiteral(password)); err != nil {
			return d, err
		}
		if r.sees { // also one that an older program made
			if _, err := db.ExecContext(ctx, "GRANT pg_monitor TO "+pq.QuoteIdentifier(r.role)); err != nil {
				return d, fmt.Errorf("let %s see sessions: %w", r.role, err)
			}
		}
		if r.database != "" {
			if err := makeMissing(ctx, db, `SELECT count(*) FROM pg_database WHERE datname = $1`, r.database,
				"CREATE DATABASE "+pq.QuoteIdentifier(r.database)+" OWNER "+pq.QuoteIdentifier(r.role)); err != nil {
				return d, err
			}
		}
		dsn[r.role], err = as(server, r.role, password, r.database)
		if err != nil {
			return d, err
		}
	}
	app, err := as(server, "smartseller_app", passwordOf(server, "smartseller_app"), "smartseller_shared")
	return databases{control: dsn["smartseller_control"], sharedApp: app, sharedOwner: dsn["smartseller_owner"], dedicatedAdmin: dsn["smartseller_admin"]}, err
}

func makeMissing(ctx context.Context, db *sql.DB, exists, name, create string) error {
	var n int
	if err := db.QueryRowContext(ctx, exists, name).Scan(&n); err != nil || n > 0 {
		return err
	}
	if _, err := db.ExecContext(ctx, create); err != nil {
		return fmt.Errorf("make %s: %w", name, err)
	}
	return nil
}

// passwordOf derives a role's password from the server's own, which stays in the
// folder: it is the same in the next run, and does not give the superuser's away.
func passwordOf(server *pgserver.Server, role string) string {
	mac := hmac.New(sha256.New, []byte(server.Password()))
	mac.Write([]byte(role))
	return hex.EncodeToString(mac.Sum(nil)[:16])
}

// as is the URL of a database for a role; "" is the database postgres.
func as(server *pgserver.Server, role, password, database string) (string, error) {
	if database == "" {
		database = "postgres"
	}
	u, err := url.Parse(server.DSN(database, role))
	if err != nil {
		return "", err
	}
	u.User = url.UserPassword(role, password)
	return u.String(), nil
}
