package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"

	"smartseller/backends"
	"smartseller/platform/database"
)

// Open opens a plain pool for administration: schema, roles, databases.
func Open(dsn string) (*sql.DB, error) {
	db, err := database.OpenPostgres(dsn, 0) // an index on a large table takes its time
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(4)
	return db, nil
}

// CheckRole refuses an application role that row-level security does not hold:
// one that is a superuser, has BYPASSRLS, or owns a tenant table or will, when the
// owner's role makes them, also through a role that it is a member of.
func CheckRole(ctx context.Context, owner *sql.DB, role string) error {
	var bypass, owns bool
	err := owner.QueryRowContext(ctx, `SELECT rolsuper OR rolbypassrls, pg_has_role(oid, current_user, 'MEMBER') FROM pg_roles WHERE rolname = $1`, role).Scan(&bypass, &owns)
	if errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("the application's role %s does not exist", role)
	}
	if err != nil {
		return classify(err)
	}
	if bypass {
		return fmt.Errorf("the application's role %s is a superuser or has BYPASSRLS: row-level security would not hold it", role)
	}
	if owns {
		return fmt.Errorf("the application's role %s is, or is a member of, the role that owns the tables: row-level security would not hold it", role)
	}
	var owned sql.NullString
	if err := owner.QueryRowContext(ctx, `SELECT min(relname) FROM pg_class
		WHERE relkind IN ('r', 'p') AND relnamespace = current_schema()::regnamespace AND pg_has_role($1, relowner, 'MEMBER')`, role).Scan(&owned); err != nil {
		return classify(err)
	}
	if owned.Valid {
		return fmt.Errorf("the application's role %s owns table %s: row-level security would not hold it", role, owned.String)
	}
	return nil
}

// Role is the user that a DSN names.
func Role(dsn string) (string, error) {
	u, err := url.Parse(dsn)
	if err != nil || u.User.Username() == "" {
		return "", errors.New("the DSN must name a user")
	}
	return u.User.Username(), nil
}

// CheckPooled holds the application's DSN to what was said of it. A transaction
// pooler that nobody spoke of makes statements fail now and then.
func CheckPooled(ctx context.Context, dsn string, said bool) backends.Finding {
	return checkPath(ctx, "the application's way to the server", dsn, said,
		"where prepared statements fail", "add the backend as pooled, or name the server's own address in the DSN")
}

// CheckDirect says whether the owner's DSN names the server itself.
func CheckDirect(ctx context.Context, dsn string) backends.Finding {
	return checkPath(ctx, "the owner's way to the server", dsn, false,
		"which schema changes and bulk loads cannot use", "name the server's own address in the administrator's DSN")
}

func checkPath(ctx context.Context, check, dsn string, mayBePooled bool, why, fix string) backends.Finding {
	f := backends.Finding{Check: check}
	pooled, err := database.Pooled(ctx, dsn)
	switch {
	case err != nil:
		f.Problem, f.Fix = "it cannot be followed: "+err.Error(), "start the server, or correct the DSN"
	case pooled && !mayBePooled:
		f.Problem, f.Fix = "it leads through a transaction pooler, "+why, fix
	}
	return f
}
