package migration

import (
	"context"
	"io"
	"os"

	"smartseller/platform/database"
)

// holderVariable turns a run of this test binary into a process that holds the write
// lock of the SQLite file it names until its input ends.
const holderVariable = "MIGRATION_FILE_HOLDER"

func holdFile(path string) {
	db, err := database.OpenSQLite(context.Background(), path, database.SQLiteOptions{})
	if err == nil {
		_, err = db.Writer.Begin() // IMMEDIATE
	}
	if err != nil {
		panic(err)
	}
	_, _ = os.Stdout.WriteString("held\n")
	_, _ = io.ReadAll(os.Stdin)
	os.Exit(0)
}
