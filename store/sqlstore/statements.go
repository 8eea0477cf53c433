package sqlstore

import (
	"fmt"
	"regexp"
	"strings"
)

// statements are the texts of what a backend runs. Parameters are numbered in
// the order in which they stand in the text.
type statements struct {
	create   string // id, the columns of a row
	load     string // id
	loadMany string // id, id, id
	loadMost string // loadedAtMost IDs
	change   string // patch, seen, expires, id, now, room (see roomFor)
	changeIf string // patch, seen, expires, id, now, room, path (PostgreSQL: name), text
	touch    string // seen, expires, id, now: a change that leaves the values alone
	rotate   string // patch, new id, name, user, created, since, seen, expires, id, now, room; PostgreSQL: and what create takes of the trace but the ID. SQLite: see rotateSQLite
	end      string // ending, now, now, id
	remove   string // id, true: no other statement has these parameters, so none deletes if a pooler mixes them up
	list     string // user, now
	scan     string // the ID after which to go on
	count    string // now
	now      string // "": the process has the same clock
	exists   string // fails if there is no such table
	probe    string // fails if it is missing or another's
	probeOld string // fails if it is not that of an earlier version

	// createAndPeek is create with a peek at four more IDs, for SQLite.
	createAndPeek string

	// endMany is end of several IDs, and lockMany finds and locks those that can be
	// ended (now, IDs), for MySQL, which does not return what it has changed. See
	// withIDs.
	endMany, lockMany string

	// sweep removes some of the records that expired before a time. For MySQL it
	// only finds them, between lock and unlock, and sweepMany (time, IDs; see
	// withIDs) removes them: see sweepMySQL.
	sweep, sweepMany, lock, unlock string
}

// batch is how many expired records one statement removes: few enough that no
// request waits for long.
const batch = 200

// portion is how many records are read at a time where all are.
const portion = 500

// loadedAtOnce is how many records loadMany and peek read, and loadedAtMost how many
// loadMost does: whoever goes through all sessions and follows those that are given new
// IDs meanwhile has to be faster than they are.
const (
	loadedAtOnce = 4
	loadedAtMost = 100
)

var parameter = regexp.MustCompile(`\$[0-9]+`)

// inList stands for the parameters of the IDs, which are the last ones.
const inList = "(…)"

// withIDs fills in the parameters of n IDs, after some others.
func (d Dialect) withIDs(text string, others, n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteString(", ")
		}
		if d == PostgreSQL {
			fmt.Fprintf(&b, "$%d", others+1+i)
		} else {
			b.WriteByte('?')
		}
	}
	return strings.Replace(text, inList, "("+b.String()+")", 1)
}

func newStatements(d Dialect, g grammar, table string) statements {
	const (
		columns    = "name, kind, user_id, created, since, seen, expires, ended, next, data"
		oldColumns = "user_id, created, seen, expires, data"
		session    = " AND kind IS NULL AND ended IS NULL AND expires > "
		record     = " AND ended IS NULL AND (kind IS NOT NULL OR expires > $%d)"
	)
	t := g.quote + table + g.quote
	times := "seen = " + g.later + "(seen, $2), expires = " + g.later + "(expires, $3)" + g.touched
	fits := " AND " + g.length + " <= "
	end := "UPDATE " + t + " SET ended = $1, expires = " + g.lesser + "(expires, $2), data = '{}'" + g.touched +
		" WHERE expires > $3 AND kind IS NULL AND ended IS NULL AND id "
	loadIDs := "SELECT id" + g.text + ", " + g.read(columns, "data"+g.text) + " FROM " + t + " WHERE id IN " + inList
	outlines := "SELECT id" + g.text + ", " + g.read(columns, g.signIn) + " FROM " + t
	s := statements{
		create:   "INSERT INTO " + t + " (id, " + columns + ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11" + g.input + ") " + g.taken,
		load:     "SELECT " + g.read(columns, "data"+g.text) + " FROM " + t + " WHERE id = $1",
		loadMany: d.withIDs(loadIDs, 0, loadedAtOnce),
		loadMost: d.withIDs(loadIDs, 0, loadedAtMost),
		change:   "UPDATE " + t + " SET data = " + g.merge + ", " + times + " WHERE id = $4" + fmt.Sprintf(record, 5) + fits + "$6",
		touch: "UPDATE " + t + " SET seen = " + g.later + "(seen, $1), expires = " + g.later + "(expires, $2)" + g.touched +
			" WHERE id = $3" + fmt.Sprintf(record, 4),
		rotate: "UPDATE " + t + " SET data = " + g.merge + ", id = $2, name = $3, user_id = $4, created = $5, since = $6, seen = $7, expires = $8" +
			" WHERE id = $9" + session + "$10" + fits + "$11",
		end:      end + "= $4",
		endMany:  end + "IN " + inList,
		lockMany: "SELECT id FROM " + t + " WHERE expires > $1 AND kind IS NULL AND ended IS NULL AND id IN " + inList + " ORDER BY id FOR UPDATE",
		remove:   "DELETE FROM " + t + " WHERE id = $1 AND $2",
		list:     outlines + " WHERE user_id = $1" + session + "$2",
		scan: outlines + " WHERE id > $1 AND kind IS NULL AND (ended IS NULL OR next IS NOT NULL)" +
			fmt.Sprintf(" ORDER BY %s.id LIMIT %d", t, portion),
		count:    "SELECT COUNT(*), COUNT(user_id) FROM " + t + " WHERE expires > $1 AND kind IS NULL",
		exists:   "SELECT 1 FROM " + t + " WHERE 1 = 0",
		probe:    "SELECT id, " + columns + " FROM " + t + " WHERE 1 = 0",
		probeOld: "SELECT id, " + oldColumns + " FROM " + t + " WHERE 1 = 0",
	}
	s.changeIf = s.change + " AND " + g.stands
	if g.now != "" {
		s.now = "SELECT " + g.now
	}
	expired := fmt.Sprintf("SELECT id FROM %s WHERE expires <= $1 ORDER BY expires LIMIT %d", t, batch)
	switch d {
	case SQLite:
		s.endMany += " RETURNING id"
		s.createAndPeek, s.rotate = s.create+" RETURNING "+peek(t), rotateSQLite(t, columns, session, fits)
		s.sweep = "DELETE FROM " + t + " WHERE id IN (" + expired + ")"
	case PostgreSQL:
		s.endMany += " RETURNING id"
		// The row is locked first, so that its value is the one that the change meets.
		s.changeIf = "WITH now AS (SELECT id, data -> $7::text AS stands, " + g.length + " <= $6 AS fits FROM " + t + " WHERE id = $4" + fmt.Sprintf(record, 5) + " FOR UPDATE)," +
			" changed AS (UPDATE " + t + " SET data = " + g.merge + ", " + times + " FROM now WHERE " + t + ".id = now.id" +
			" AND now.fits AND now.stands IS NOT DISTINCT FROM $8::text::jsonb RETURNING 1)" +
			" SELECT EXISTS (SELECT 1 FROM changed), fits, stands::text FROM now"
		s.rotate = "WITH moved AS (" + s.rotate + " RETURNING 1) INSERT INTO " + t + " (id, " + columns + ")" +
			" SELECT $9::text, $12::text, $13::text, $14::text, $15::bigint, $16::bigint, $17::bigint, $18::bigint, $19::text, $20::text," +
			" $21::text::jsonb FROM moved"
		// Two processes take different rows, and none waits for the other.
		s.sweep = "DELETE FROM " + t + " WHERE id = ANY (ARRAY(" + expired + " FOR UPDATE SKIP LOCKED))"
	case MySQL:
		s.sweep = expired
		// The sum keeps the server from the index of the times.
		s.sweepMany = "DELETE FROM " + t + " WHERE expires + 0 <= $1 AND id IN " + inList
		// Locks are the server's and not the database's, and their names at most 64
		// characters long.
		name := "MD5(CONCAT(DATABASE(), '.sessionkit.', '" + table + "'))"
		s.lock, s.unlock = "SELECT GET_LOCK("+name+", 0)", "DO RELEASE_LOCK("+name+")"
	}
	if d != PostgreSQL {
		for _, text := range []*string{
			&s.create, &s.createAndPeek, &s.load, &s.change, &s.changeIf, &s.touch, &s.rotate, &s.end, &s.endMany, &s.lockMany,
			&s.remove, &s.list, &s.scan, &s.count, &s.sweep, &s.sweepMany,
		} {
			*text = parameter.ReplaceAllString(*text, "?")
		}
	}
	return s
}

// rotateSQLite adds the session under its new ID and puts the trace in the row of the old
// one. A transaction of two statements would take SQLite nearly twice as long. The
// parameters are those of create for the session, with a patch for its values; id, now,
// room; those of create but the ID for the trace; id, now, room; and four IDs for peek.
func rotateSQLite(t, columns, session, fits string) string {
	live := " FROM " + t + " WHERE id = $1" + session + "$1" + fits + "$1"
	// If a row that is no trace conflicts, the new ID is taken. The column refuses NULL, and
	// with it the whole statement.
	set := []string{"created = CASE WHEN excluded.ended IS NOT NULL THEN excluded.created END"}
	for column := range strings.SplitSeq(columns, ", ") {
		if column != "created" {
			set = append(set, column+" = excluded."+column)
		}
	}
	return "INSERT INTO " + t + " (id, " + columns + ")" +
		" SELECT $1, $1, $1, $1, $1, $1, $1, $1, $1, $1, json_patch(data, $1)" + live +
		" UNION ALL SELECT id, $1, $1, $1, $1, $1, $1, $1, $1, $1, $1" + live +
		" ON CONFLICT (id) DO UPDATE SET " + strings.Join(set, ", ") + " RETURNING " + peek(t)
}

// peek returns, with the session that was stored, the values of four other records, NULL
// if there is none. With a trace they are not read. It does not ask whether ended IS NULL:
// in a RETURNING clause SQLite 3.38 to 3.40 takes that for false whatever the column holds.
func peek(t string) string {
	one := "CASE WHEN ended > '' THEN NULL ELSE (SELECT data FROM " + t + " WHERE id = $1) END"
	return one + strings.Repeat(", "+one, loadedAtOnce-1)
}

// Statements returns the texts that a backend runs, by what they do: tests look at how a
// database carries them out.
func (b *sqlBackend) Statements() map[string]string {
	s := b.texts
	texts := map[string]string{
		"load": s.load, "load many": s.loadMany, "change": s.change, "change if": s.changeIf, "touch": s.touch, "rotate": s.rotate,
		"end": s.end, "remove": s.remove, "list": s.list, "sweep": s.sweep,
	}
	d := b.dialect
	texts["end three"] = d.withIDs(s.endMany, 3, 3)
	if d == MySQL {
		texts["lock three"] = d.withIDs(s.lockMany, 1, 3)
		texts["sweep three"] = d.withIDs(s.sweepMany, 1, 3)
	}
	return texts
}
