package migration

import (
	"context"
	"database/sql"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
)

// TestWriterIdlesAtTheSeal: a writer that is idle in its transaction for nine seconds, of ten
// that a server grants it, when its storefront is to be sealed ends it in peace, and
// nobody else waits for that.
func TestWriterIdlesAtTheSeal(t *testing.T) {
	t.Parallel()
	w := newWorld(t).ownDatabase(t)
	i := w.instance(t, nil)
	s := scene{startLoad(i.storefrontOn(t, "own", 50), i.router), t}
	m := s.ready(i, "two")
	letGo := i.lingering(t, s.storefront)
	ask(t, i, m.ID, WantCutover)
	<-time.After(9 * time.Second)
	letGo()
	i.waitFor(t, m.ID, Watching)
	s.check(t, i.router)
	require.Less(t, s.longest, patient, "others waited for the writer")
	t.Log("longest request:", s.longest)
}

// TestWriterIdlesForTooLong: a writer that stays idle at the seal for longer than ten seconds
// is ended by its server, and nothing of it is kept unless it is told so.
func TestWriterIdlesForTooLong(t *testing.T) {
	t.Parallel()
	w := newWorld(t).ownDatabase(t)
	i := w.instance(t, nil)
	s := scene{startLoad(i.storefrontOn(t, "own", 50), i.router), t}
	m := s.ready(i, "two")
	idles, goOn, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	idling := sync.OnceFunc(func() { close(idles) })
	go func() {
		ended <- i.router.Update(context.Background(), s.storefront, func(_ context.Context, tx backends.Tx) error {
			_, err := tx.Exec(addCounter, "lingering", 1)
			idling()
			<-goOn
			return err
		})
	}()
	happens(t, idles, "a writer that idles")
	began := time.Now()
	ask(t, i, m.ID, WantCutover)
	i.waitFor(t, m.ID, Watching)
	require.Greater(t, time.Since(began), 8*time.Second, "it is waited for")
	close(goOn)
	refused := <-ended
	var written int
	err := i.router.View(context.Background(), s.storefront, func(_ context.Context, tx backends.Tx) error {
		return tx.Get(&written, countLingering)
	})
	require.NoError(t, err)
	require.Equal(t, refused == nil, written == 1, "%v", refused)
	s.check(t, i.router)
	require.Less(t, s.longest, patient, "others waited for the writer")
	t.Log("longest request:", s.longest, "; the idle writer's:", refused)
}

var countLingering = backends.Read(`SELECT count(*) FROM counters WHERE storefront_id = $1 AND id = 'lingering'`)

// TestSerializationFailures: every fifth statement that changes a cell at the database
// meets a conflict with somebody else, the mover's as well, from and to it.
func TestSerializationFailures(t *testing.T) {
	t.Parallel()
	w := newWorld(t).ownDatabase(t)
	i := w.instance(t, nil)
	s := scene{startLoad(i.storefrontOn(t, "own", 600), i.router), t}
	db, err := sql.Open("postgres", w.own.admin)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	for _, text := range []string{
		`CREATE SEQUENCE conflicts`,
		`GRANT USAGE ON SEQUENCE conflicts TO PUBLIC`,
		`CREATE FUNCTION conflict() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			IF random() < 0.2 THEN
				PERFORM nextval('conflicts');
				RAISE EXCEPTION 'somebody else was faster' USING ERRCODE = '40001';
			END IF;
			RETURN NULL;
		END $$`,
		`CREATE TRIGGER conflict BEFORE INSERT OR UPDATE OR DELETE ON counters FOR EACH STATEMENT EXECUTE FUNCTION conflict()`,
	} {
		_, err := db.Exec(text)
		require.NoError(t, err)
	}
	m := startTo(t, i, s.storefront, "two", Options{})
	i.waitFor(t, m.ID, Watching)
	require.Eventually(t, func() bool { // what is written is applied to the database meanwhile
		s.writes()
		var met int
		require.NoError(t, db.QueryRow(`SELECT last_value FROM conflicts`).Scan(&met))
		return met > 5
	}, waitLong, waitStep)
	ask(t, i, m.ID, WantRollback)
	i.waitFor(t, m.ID, RolledBack)
	s.check(t, i.router)
}
