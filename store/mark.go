package store

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/gin-sessionkit/sessionkit/internal/signin"
	tokens "github.com/gin-sessionkit/sessionkit/internal/token"
	"github.com/gin-sessionkit/sessionkit/internal/value"
)

// A mark stands in the new store for an old cookie whose session has moved or
// ended: what the cookie opened in the old store does not count any more. A
// session that was moved without a sign-in also has its token there, unless the cookie is a text, for requests
// that the browser sent before it had the new cookie. The old cookie alone opens
// it: someone who reads the database cannot.
type mark struct {
	ID     string `json:"id,omitempty"`     // of the new session; "": it has ended
	Ended  Ending `json:"ended,omitempty"`  // why
	User   string `json:"user,omitempty"`   // of the new session, or the one that has ended
	Line   string `json:"line,omitempty"`   // of its sign-in
	Sealed []byte `json:"sealed,omitempty"` // its token
	Text   bool   `json:"text,omitempty"`   // other browsers may have the cookie as well: see IsText

	made time.Time // as its record says
}

// record returns what the mark knows of the session.
func (m mark) record() Record {
	return Record{User: m.User}.withSignIn(signin.SignIn{Line: m.Line})
}

// trace returns what is left of the session for the old cookie, which does not lead to
// it any more.
func (m mark) trace() Record {
	var r Record
	if !m.Text { // else who has the cookie need not be who has signed in
		r = m.record()
	}
	r.Ended, r.Expires = m.Ended, m.made
	if m.ID != "" {
		r.Ended, r.Next = Renewed, m.ID
	}
	return r
}

// markedFor is how long a mark is kept at least: longer than gin-contrib's stores take a
// cookie unless told otherwise, which is 30 days.
const markedFor = 31 * 24 * time.Hour

const (
	markKind    = "moved"
	markName    = value.OwnPrefix + "moved"
	markPurpose = "sessionkit migration, version 1"
)

// markID returns the ID of an old cookie's mark. No token has it: it is the hash
// of a text that is none.
func markID(cookie string) string {
	return tokens.Hash([]byte(markPurpose + ": " + unescaped(cookie)))
}

// unescaped returns what all spellings of a cookie have in common: Express reads it however much of it
// is escaped.
func unescaped(cookie string) string {
	text, err := url.PathUnescape(cookie)
	if err != nil {
		return cookie
	}
	return text
}

// markLine returns the line of the sign-in by values that an old cookie brings: all requests with it
// agree on that, also if one of them renews what another one has moved.
func markLine(cookie string) string {
	return tokens.Hash([]byte(markPurpose + ", sign-in: " + unescaped(cookie)))
}

// sharedMarkID returns the ID of a second mark, which stands for all cookies of a session in
// the old store: each Save there signs its ID anew, so that it has had many.
func sharedMarkID(sessionID string) string {
	return tokens.Hash([]byte(markPurpose + ", session: " + sessionID))
}

// mark returns the mark of the old cookie.
func (o *moving) mark(ctx context.Context) (mark, bool, error) { return o.m.mark(ctx, o.id) }

// mark returns the mark that has an ID.
func (s *Store) mark(ctx context.Context, id string) (there mark, found bool, err error) {
	r, found, err := s.load(ctx, id, false) // it changes once at most: see moveAgain
	if err != nil || !found {
		return mark{}, false, err
	}
	there, err = readMark(r)
	return there, err == nil, err
}

// readMark returns the mark that a record holds.
func readMark(r Record) (m mark, err error) {
	v, _ := value.Decode(r.Values[markName])
	if j, ok := v.(value.JSON); !ok || json.Unmarshal([]byte(j), &m) != nil {
		return mark{}, fmt.Errorf("store: reading where a session has moved: %w", ErrCorrupt)
	}
	m.made = r.Seen
	return m, nil
}

// findMoved returns the live session that was known by the ID of a mark, found as r, until it moved.
// A visitor's is found only if the old cookie leads to it, and not once somebody has signed in to it:
// whoever has the ID may be somebody else.
func (s *Store) findMoved(ctx context.Context, id string, r Record) (now string, next Record, found bool, err error) {
	m, err := readMark(r)
	switch {
	case err != nil:
		return "", Record{}, false, err
	case m.User != "":
		now, next, found, err = kit{s}.Follow(ctx, m.record())
		found = found && next.signIn().Mark == id
	case len(m.Sealed) > 0:
		now = m.ID
		next, found, err = s.load(ctx, now, true)
		found = found && next.live()
	}
	if err != nil || !found {
		return "", Record{}, false, err
	}
	return now, next, true, nil
}

// isFree reports whether the old cookie may move into one more session: the one of its mark has neither
// ended nor got another ID just now, and nobody has signed in to it, or by the cookie.
func (o *moving) isFree(ctx context.Context, m mark) (bool, error) {
	if !m.Text || m.User != "" {
		return false, nil
	}
	r, found, err := o.m.load(ctx, m.ID, true)
	return err == nil && (!found || r.Ended == "" && r.User == ""), err
}

// isLeft reports whether the old store has the session only for what could not move with it,
// by whichever of its cookies that was.
func (o *moving) isLeft(ctx context.Context) (bool, error) {
	if o.sharedMark == "" {
		return false, nil
	}
	_, left, err := o.m.mark(ctx, o.sharedMark)
	return left, err
}

// createMark creates the mark that has an ID, unless there is one. Neither an error nor that there is one
// proves that this was not created: what the client sends may be carried out twice.
func (o *moving) createMark(ctx context.Context, id string, m mark) (bool, error) {
	created, err := o.storeMark(ctx, id, m)
	if created || errors.Is(err, ErrFull) || err == nil && m.ID == "" {
		return created, err
	}
	there, found, readErr := o.m.mark(context.WithoutCancel(ctx), id)
	switch {
	case found:
		return there.ID == m.ID && there.Ended == m.Ended, nil
	case m.ID == "" || err == nil && readErr == nil:
		return false, err
	}
	o.unsettled = true // a server that hangs may create it when it goes on
	return false, errors.Join(err, readErr)
}

// text returns the mark as its record has it.
func (m mark) text() string {
	j, _ := json.Marshal(m) // its fields all encode
	text, _ := value.Encode(value.JSON(j))
	return text
}

// recordOf returns the record of a mark that is made now.
func (o *moving) recordOf(m mark) Record {
	now, stays := time.Now(), markedFor
	if o.session != nil && o.session.Options != nil { // for so long the old store takes the cookie
		stays = max(stays, time.Duration(o.session.Options.MaxAge)*time.Second+24*time.Hour)
	}
	return Record{Kind: markKind, Created: now, Seen: now, Expires: now.Add(stays), Values: map[string]string{markName: m.text()}}
}

func (o *moving) storeMark(ctx context.Context, id string, m mark) (bool, error) {
	ctx, cancel := o.m.bound(ctx)
	defer cancel()
	created, err := o.m.backend.Create(ctx, id, o.recordOf(m))
	if err != nil {
		return false, fmt.Errorf("store: moving a session: %w", err)
	}
	return created, nil
}

// changeMark puts a mark in the place of another one, if that still stands. An error does not prove that
// it did not.
func (o *moving) changeMark(ctx context.Context, was, m mark) (bool, error) {
	bound, cancel := o.m.bound(ctx)
	defer cancel()
	next := o.recordOf(m)
	outcome, err := o.m.backend.Update(bound, o.id, Change{
		Seen: next.Seen, Expires: next.Expires, Set: next.Values, If: &Condition{Name: markName, Text: was.text()},
	})
	if err == nil {
		return outcome.Changed(), nil
	}
	there, found, readErr := o.m.mark(context.WithoutCancel(ctx), o.id)
	if found && there.ID == m.ID && there.Ended == m.Ended {
		return true, nil
	}
	o.unsettled = m.ID != ""
	return false, fmt.Errorf("store: moving a session: %w", errors.Join(err, readErr))
}

// token returns the token of the new session, "" if the cookie leads to none.
func (m mark) token(cookie string) string {
	if len(m.Sealed) == 0 {
		return ""
	}
	token, err := markCipher(cookie).Open(nil, nil, m.Sealed, nil)
	if err != nil {
		return ""
	}
	return string(token)
}

func seal(cookie, token string) []byte {
	return markCipher(cookie).Seal(nil, nil, []byte(token), nil) // #nosec G407 -- the cipher adds a random nonce
}

// markCipher returns the cipher of an old cookie. Old cookies are secrets of 256
// bits or more, or sealed with one.
func markCipher(cookie string) cipher.AEAD {
	key, err := hkdf.Key(sha256.New, []byte(unescaped(cookie)), nil, markPurpose, sha256.Size)
	if err != nil {
		panic(err) // only for a key longer than HKDF can give
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // only for a key of another size
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err) // only for a cipher of another block size
	}
	return aead
}
