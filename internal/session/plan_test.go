package session_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit/internal/session"
	"github.com/gin-sessionkit/sessionkit/internal/signin"
	"github.com/gin-sessionkit/sessionkit/internal/value"
	"github.com/gin-sessionkit/sessionkit/store"
)

var policy = session.Policy{Name: "session", Idle: time.Hour, Lifetime: 24 * time.Hour, Remember: 30 * 24 * time.Hour}

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// visitor and user are stored sessions, which were used half a minute ago.
func visitor() session.Stored {
	return session.Stored{ID: "old", Record: store.Record{
		Created: now.Add(-time.Hour), Seen: now.Add(-30 * time.Second), Expires: now.Add(time.Hour),
		Values: map[string]string{"cart": `"tea"`, "theme": `"dark"`},
	}}
}

func user(name string) session.Stored {
	s := visitor()
	s.Record.User = name
	s.Record.Values[signin.Name] = signin.SignIn{At: now.Add(-time.Hour), Line: "line"}.Text()
	return s
}

type call func(s *session.Session)

func put(name, text string) call { return func(s *session.Session) { s.Put(name, text) } }
func remove(name string) call    { return func(s *session.Session) { s.Remove(name) } }

func login(name string) call {
	return func(s *session.Session) { s.SignIn(name, signin.SignIn{}, now) }
}

func endInstead(stored session.Stored) call { return func(s *session.Session) { s.EndInstead(stored) } }

func liveFor60(s *session.Session) { s.LiveFor(60) }
func logout(s *session.Session)    { s.Restart() }
func renew(s *session.Session)     { s.Renew() }
func confirm(s *session.Session)   { s.Confirm(now) }
func passive(s *session.Session)   { s.Passive = true }
func discard(s *session.Session)   { s.Discard() }

// TestPlan is what the commit has to do, by what was stored and what the request called.
// The comments name the rules of docs/architecture.md that a group of rows shows.
func TestPlan(t *testing.T) {
	none, used := false, true
	for name, test := range map[string]struct {
		stored session.Stored
		due    bool // its use is to be recorded
		calls  []call
		act    session.Act
		set    []string // of the record or the change
		drop   []string
		user   string // of the record
		cookie bool
	}{
		// Nothing changed: no write (2).
		"new, nothing":                    {session.Stored{}, none, nil, session.None, nil, nil, "", false},
		"stored, nothing":                 {visitor(), none, nil, session.None, nil, nil, "", false},
		"stored, nothing, use is due":     {visitor(), used, nil, session.Touch, nil, nil, "", false},
		"stored, nothing, passive":        {visitor(), used, []call{passive}, session.None, nil, nil, "", false},
		"same value again":                {visitor(), none, []call{put("cart", `"tea"`)}, session.None, nil, nil, "", false},
		"value and back":                  {visitor(), none, []call{put("cart", `"milk"`), put("cart", `"tea"`)}, session.None, nil, nil, "", false},
		"removal of what is not there":    {visitor(), none, []call{remove("other")}, session.None, nil, nil, "", false},
		"new, value and removal":          {session.Stored{}, none, []call{put("cart", `"tea"`), remove("cart")}, session.None, nil, nil, "", false},
		"new, removal":                    {session.Stored{}, none, []call{remove("cart")}, session.None, nil, nil, "", false},
		"new, length of life":             {session.Stored{}, none, []call{liveFor60}, session.None, nil, nil, "", false},
		"new, sign-out":                   {session.Stored{}, none, []call{logout}, session.None, nil, nil, "", false},
		"new, renewal":                    {session.Stored{}, none, []call{renew}, session.None, nil, nil, "", false},
		"new, value and sign-out":         {session.Stored{}, none, []call{put("cart", `"tea"`), logout}, session.None, nil, nil, "", false},
		"new, sign-in and sign-out":       {session.Stored{}, none, []call{login("alice"), logout}, session.None, nil, nil, "", false},
		"same value again, use is due":    {visitor(), used, []call{put("cart", `"tea"`)}, session.Touch, nil, nil, "", false},
		"same value again, passive":       {visitor(), used, []call{passive, put("cart", `"tea"`)}, session.None, nil, nil, "", false},
		"removal of nothing, use is due":  {visitor(), used, []call{remove("other")}, session.Touch, nil, nil, "", false},
		"signed in, nothing, use is due":  {user("alice"), used, nil, session.Touch, nil, nil, "", false},
		"signed in, value put and undone": {user("alice"), none, []call{put("x", "1"), remove("x")}, session.None, nil, nil, "", false},

		// A change is saved once, with the values that changed and no others (1, 7).
		"new, value":               {session.Stored{}, none, []call{put("cart", `"tea"`)}, session.Create, []string{"cart"}, nil, "", true},
		"new, two values":          {session.Stored{}, none, []call{put("a", "1"), put("b", "2")}, session.Create, []string{"a", "b"}, nil, "", true},
		"new, length and value":    {session.Stored{}, none, []call{liveFor60, put("n", "1")}, session.Create, []string{"n", value.MaxAge}, nil, "", true},
		"value":                    {visitor(), none, []call{put("n", "1")}, session.Update, []string{"n"}, nil, "", false},
		"value replaced":           {visitor(), none, []call{put("cart", `"milk"`)}, session.Update, []string{"cart"}, nil, "", false},
		"removal":                  {visitor(), none, []call{remove("cart")}, session.Update, nil, []string{"cart"}, "", false},
		"value and removal":        {visitor(), none, []call{put("n", "1"), remove("cart")}, session.Update, []string{"n"}, []string{"cart"}, "", false},
		"removal and value":        {visitor(), none, []call{remove("cart"), put("cart", `"milk"`)}, session.Update, []string{"cart"}, nil, "", false},
		"value, use is due":        {visitor(), used, []call{put("n", "1")}, session.Update, []string{"n"}, nil, "", false},
		"length of life":           {visitor(), none, []call{liveFor60}, session.Update, []string{value.MaxAge}, nil, "", true},
		"value of a signed-in one": {user("alice"), none, []call{put("n", "1")}, session.Update, []string{"n"}, nil, "", false},

		// A sign-in and a renewal always change the ID (11), and a sign-in begins its deadlines (12).
		// A renewal leaves the sign-in as it stands in the store (7).
		"new, sign-in":                    {session.Stored{}, none, []call{login("alice")}, session.Create, []string{signin.Name}, nil, "alice", true},
		"new, value and sign-in":          {session.Stored{}, none, []call{put("n", "1"), login("alice")}, session.Create, []string{"n", signin.Name}, nil, "alice", true},
		"sign-in of a visitor":            {visitor(), none, []call{login("alice")}, session.Rotate, []string{signin.Name}, nil, "alice", true},
		"sign-in again":                   {user("alice"), none, []call{login("alice")}, session.Rotate, []string{signin.Name}, nil, "alice", true},
		"sign-in and value":               {visitor(), none, []call{login("alice"), put("n", "1")}, session.Rotate, []string{"n", signin.Name}, nil, "alice", true},
		"sign-in and removal":             {visitor(), none, []call{login("alice"), remove("cart")}, session.Rotate, []string{signin.Name}, []string{"cart"}, "alice", true},
		"sign-in and confirmation":        {visitor(), none, []call{login("alice"), confirm}, session.Rotate, []string{signin.Name}, nil, "alice", true},
		"sign-in and renewal":             {visitor(), none, []call{login("alice"), renew}, session.Rotate, []string{signin.Name}, nil, "alice", true},
		"renewal":                         {visitor(), none, []call{renew}, session.Rotate, nil, nil, "", true},
		"renewal of a signed-in one":      {user("alice"), none, []call{renew}, session.Rotate, nil, nil, "alice", true},
		"renewal and value":               {visitor(), none, []call{renew, put("n", "1")}, session.Rotate, []string{"n"}, nil, "", true},
		"confirmation":                    {user("alice"), none, []call{confirm}, session.Rotate, []string{signin.Name}, nil, "alice", true},
		"confirmation, then renewal":      {user("alice"), none, []call{confirm, renew}, session.Rotate, []string{signin.Name}, nil, "alice", true},
		"sign-in where the use is due":    {visitor(), used, []call{login("alice")}, session.Rotate, []string{signin.Name}, nil, "alice", true},
		"renewal where the use is passed": {visitor(), used, []call{passive, renew}, session.Rotate, nil, nil, "", true},

		// A sign-out ends the stored session, and nothing of it goes on (8).
		"sign-out":                          {user("alice"), none, []call{logout}, session.End, nil, nil, "", false},
		"sign-out of a visitor":             {visitor(), none, []call{logout}, session.End, nil, nil, "", false},
		"value and sign-out":                {user("alice"), none, []call{put("n", "1"), logout}, session.End, nil, nil, "", false},
		"renewal and sign-out":              {user("alice"), none, []call{renew, logout}, session.End, nil, nil, "", false},
		"sign-out and renewal":              {user("alice"), none, []call{logout, renew}, session.End, nil, nil, "", false},
		"sign-out twice":                    {user("alice"), none, []call{logout, logout}, session.End, nil, nil, "", false},
		"sign-out, value and removal":       {user("alice"), none, []call{logout, put("n", "1"), remove("n")}, session.End, nil, nil, "", false},
		"sign-out and length of life":       {user("alice"), none, []call{logout, liveFor60}, session.End, nil, nil, "", false},
		"sign-out and value":                {user("alice"), none, []call{logout, put("n", "1")}, session.Replace, []string{"n"}, nil, "", true},
		"sign-out and the value as it was":  {user("alice"), none, []call{logout, put("cart", `"tea"`)}, session.Replace, []string{"cart"}, nil, "", true},
		"sign-out and sign-in":              {user("alice"), none, []call{logout, login("bob")}, session.Replace, []string{signin.Name}, nil, "bob", true},
		"sign-out, sign-in and sign-out":    {user("alice"), none, []call{logout, login("bob"), logout}, session.End, nil, nil, "", false},
		"sign-out, sign-in, value, renewal": {user("alice"), none, []call{logout, login("bob"), put("n", "1"), renew}, session.Replace, []string{"n", signin.Name}, nil, "bob", true},

		// A handler that panics saves nothing (5).
		"value, discarded":    {visitor(), none, []call{put("n", "1"), discard}, session.None, nil, nil, "", false},
		"sign-out, discarded": {user("alice"), used, []call{logout, discard}, session.None, nil, nil, "", false},
		"sign-in, discarded":  {visitor(), used, []call{login("alice"), discard}, session.None, nil, nil, "", false},
		"new, sign-out of another, discarded, and value": {
			session.Stored{}, none, []call{endInstead(user("alice")), logout, discard, put("n", "1")}, session.Create, []string{"n"}, nil, "", true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := session.Session{Policy: &policy}
			s.Begin(&test.stored, test.due)
			for _, c := range test.calls {
				c(&s)
			}
			plan := s.Plan(now)
			require.Equal(t, test.act.String(), plan.Act.String())
			assert.Equal(t, test.cookie, plan.Cookie, "the browser gets a cookie")
			set := plan.Change.Set
			if test.act == session.Create || test.act == session.Replace || test.act == session.Rotate {
				set = plan.Record.Values
				assert.Equal(t, test.user, plan.Record.User)
				assert.Equal(t, now, plan.Record.Seen)
				assert.Equal(t, "session", plan.Record.Name)
			}
			assert.ElementsMatch(t, test.set, keys(set))
			assert.ElementsMatch(t, test.drop, plan.Change.Delete)
			recorded := test.act == session.Touch || test.act == session.Update && (test.due || slices.Contains(test.set, value.MaxAge))
			assert.Equal(t, recorded, !plan.Change.Seen.IsZero(),
				"the use is recorded with what is written anyway")
		})
	}
}

func keys(m map[string]string) (list []string) {
	for name := range maps.Keys(m) {
		list = append(list, name)
	}
	return list
}

// TestPlanOfTimes shows the deadlines of what is stored (12).
func TestPlanOfTimes(t *testing.T) {
	minute := time.Minute // a use is recorded once a minute, so a session lives that much longer
	for name, test := range map[string]struct {
		stored  session.Stored
		calls   []call
		created time.Time
		expires time.Time
	}{
		"a new visitor":          {session.Stored{}, []call{put("n", "1")}, now, now.Add(time.Hour + minute)},
		"a sign-in":              {visitor(), []call{login("alice")}, now.Add(-time.Hour), now.Add(time.Hour + minute)},
		"a sign-in again":        {user("alice"), []call{login("alice")}, now.Add(-time.Hour), now.Add(time.Hour + minute)},
		"after a sign-out":       {user("alice"), []call{logout, login("bob")}, now, now.Add(time.Hour + minute)},
		"a remembered sign-in":   {visitor(), []call{func(s *session.Session) { s.SignIn("alice", signin.SignIn{Remembered: true}, now) }}, now.Add(-time.Hour), now.Add(30 * 24 * time.Hour)},
		"a sign-in of its own":   {visitor(), []call{func(s *session.Session) { s.SignIn("alice", signin.SignIn{Lifetime: 10 * time.Minute}, now) }}, now.Add(-time.Hour), now.Add(10 * time.Minute)},
		"a renewal keeps its":    {user("alice"), []call{renew}, now.Add(-time.Hour), now.Add(time.Hour + minute)},
		"a confirmation as well": {user("alice"), []call{confirm}, now.Add(-time.Hour), now.Add(time.Hour + minute)},
	} {
		t.Run(name, func(t *testing.T) {
			s := session.Session{Policy: &policy}
			s.Begin(&test.stored, false)
			for _, c := range test.calls {
				c(&s)
			}
			plan := s.Plan(now)
			assert.Equal(t, test.created, plan.Record.Created)
			assert.Equal(t, test.expires, plan.Record.Expires)
		})
	}

	old := user("alice")
	old.Record.Values[signin.Name] = signin.SignIn{At: now.Add(-24*time.Hour + 5*time.Minute), Line: "line"}.Text()
	s := session.Session{Policy: &policy}
	s.Begin(&old, false)
	s.Renew()
	assert.Equal(t, now.Add(5*time.Minute), s.Plan(now).Record.Expires, "a renewal does not make it last longer")
}

// TestUseIsDue shows when a use is recorded: once a minute, and at once if the clock was put
// back, as a server with a clock of its own would drop the session before the stored time.
func TestUseIsDue(t *testing.T) {
	for ago, due := range map[time.Duration]bool{
		59 * time.Second: false, time.Minute: true,
		-time.Second: false, -store.Retention / 2: false, -3 * time.Hour: true,
	} {
		r := user("alice").Record
		r.Seen = now.Add(-ago)
		r.Expires = r.Seen.Add(time.Hour + time.Minute)
		assert.Equal(t, due, policy.Due(&r, now), ago)
	}
}

// TestSignInTakesTheEndFromItself shows the latest end that a list of devices gives: it
// counts from the sign-in, not from the visit before.
func TestSignInTakesTheEndFromItself(t *testing.T) {
	for name, before := range map[string]session.Stored{"new": {}, "visitor": visitor(), "again": user("alice")} {
		t.Run(name, func(t *testing.T) {
			s := session.Session{Policy: &policy}
			s.Begin(&before, false)
			login("alice")(&s)
			in := signin.Of(s.Plan(now).Record.Values)
			assert.Equal(t, now.Add(24*time.Hour), in.Ends.UTC())
			assert.Equal(t, now.Add(24*time.Hour), s.Describe(now).EndsAt)
		})
	}
}

// TestRotationThatFindsNothing shows the second plan: a sign-in stands as one of its own,
// with what a visitor had and nothing that a user had.
func TestRotationThatFindsNothing(t *testing.T) {
	for name, test := range map[string]struct {
		stored session.Stored
		values []string
	}{
		"a visitor's": {visitor(), []string{"cart", "theme", "n", signin.Name}},
		"a user's":    {user("alice"), []string{"n", signin.Name}},
	} {
		t.Run(name, func(t *testing.T) {
			s := session.Session{Policy: &policy}
			s.Begin(&test.stored, false)
			login("alice")(&s)
			s.Put("n", "1")
			first := s.Plan(now)
			require.Equal(t, session.Rotate, first.Act)
			require.True(t, first.Attempt)
			s.ByItself()
			second := s.Plan(now)
			require.Equal(t, session.Create, second.Act)
			assert.ElementsMatch(t, test.values, keys(second.Record.Values))
			assert.NotEqual(t, signin.Of(first.Record.Values).Line, signin.Of(second.Record.Values).Line, "nothing follows it to the other one")
			assert.Equal(t, now, second.Record.Created)
			assert.Zero(t, second.Record.Since, "it never had another ID")
		})
	}
}

// TestCommitsFollowEachOther shows that what was saved is not saved again (1).
func TestCommitsFollowEachOther(t *testing.T) {
	s := session.Session{Policy: &policy}
	s.Put("a", "1")
	plan := s.Plan(now)
	require.Equal(t, session.Create, plan.Act)
	s.Committed(session.Stored{ID: "first", Record: plan.Record}, plan)
	assert.Equal(t, session.None, s.Plan(now).Act)

	s.Put("b", "2")
	plan = s.Plan(now)
	require.Equal(t, session.Update, plan.Act)
	s.Updated(s.Stored(), plan.Change)
	assert.Equal(t, session.None, s.Plan(now).Act)
	assert.Equal(t, map[string]string{"a": "1", "b": "2"}, s.Texts())

	s.Remove("a")
	plan = s.Plan(now)
	assert.Equal(t, []string{"a"}, plan.Change.Delete)
	assert.Empty(t, plan.Change.Set)
	s.Updated(s.Stored(), plan.Change)
	assert.Equal(t, map[string]string{"b": "2"}, s.Texts())

	login("alice")(&s)
	plan = s.Plan(now)
	require.Equal(t, session.Rotate, plan.Act)
	s.Rotated(session.Stored{ID: "second", Record: plan.Record}, plan)
	assert.Equal(t, session.None, s.Plan(now).Act)
	assert.Equal(t, "alice", s.User())
	assert.Equal(t, `2`, s.Texts()["b"])
}

// TestWhatFollowsARotation shows that what comes after a commit knows of the sign-in that
// it has stored, and of the values (5).
func TestWhatFollowsARotation(t *testing.T) {
	for name, then := range map[string]func(*session.Session){
		"nothing":               func(*session.Session) {},
		"a sign-out":            (*session.Session).Restart,
		"handlers that panic":   (*session.Session).Discard,
		"another value":         func(s *session.Session) { s.Put("n", "2") },
		"another value's end":   func(s *session.Session) { s.Remove("theme") },
		"one that is read":      func(s *session.Session) { s.StoredText("n") },
		"the age of its cookie": func(s *session.Session) { s.CookieAge(now) },
	} {
		t.Run(name, func(t *testing.T) {
			s := session.Session{Policy: &policy}
			stored := visitor()
			s.Begin(&stored, false)
			login("alice")(&s)
			s.Put("n", "1")
			s.Remove("cart")
			plan := s.Plan(now)
			require.Equal(t, session.Rotate, plan.Act)
			s.Rotated(session.Stored{ID: "second", Record: plan.Record}, plan)
			then(&s)
			assert.ElementsMatch(t, []string{"theme", "n", signin.Name}, keys(s.Stored().Record.Values))
			assert.Equal(t, plan.Record.Values[signin.Name], s.Stored().Record.Values[signin.Name])
		})
	}
}
