package redisstore

import (
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"github.com/gin-sessionkit/sessionkit/store"
)

// The fields of a session's hash. Names of values have a prefix, so that none can
// be taken for one of the others.
const (
	fieldUser    = "u"
	fieldCreated = "c"
	fieldSeen    = "s"
	fieldExpires = "e"
	fieldIndexed = "i" // until when the user's index holds the ID at least; only if there is a user
	fieldName    = "n"
	fieldKind    = "k"
	fieldEnded   = "m"
	fieldNext    = "t"
	fieldSince   = "f"
	valuePrefix  = "v:"

	metaFields = 7 // that a session of a user has beside its values

	endedBefore = "1" // what versions before this one wrote for a session that was about to move
)

// indexAhead is how much longer than the record the index holds an ID, so that
// the expiry of a session in use moves without a round trip to the index.
const indexAhead = 24 * time.Hour

func milliseconds(t time.Time) string { return strconv.FormatInt(unixMilli(t), 10) }

func unixMilli(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// appendNumbers appends up to eight numbers, which share the memory of one text.
func appendNumbers(args []string, numbers ...int64) []string {
	var room [160]byte
	var ends [8]int
	b := room[:0]
	for i, n := range numbers {
		b = strconv.AppendInt(b, n, 10)
		ends[i] = len(b)
	}
	all, from := string(b), 0
	for _, end := range ends[:len(numbers)] {
		args = append(args, all[from:end])
		from = end
	}
	return args
}

// until is how long it is until t, rounded up.
func until(t time.Time) string { return strconv.FormatInt(time.Until(t).Milliseconds()+1, 10) }

// keyEnd is when the key of a session goes that expires at t.
func keyEnd(t time.Time) time.Time { return t.Add(store.Retention) }

// indexEnd is until when the index holds a session that expires at t.
func indexEnd(t time.Time) time.Time { return keyEnd(t).Add(indexAhead) }

// fields returns the fields and values of a record, for HSET.
func fields(r store.Record) []string {
	args := make([]string, 0, 16+2*len(r.Values))
	args = append(args,
		fieldUser, r.User,
		fieldCreated, milliseconds(r.Created),
		fieldSeen, milliseconds(r.Seen),
		fieldExpires, milliseconds(r.Expires))
	for _, pair := range [...][2]string{{fieldName, r.Name}, {fieldKind, r.Kind}, {fieldEnded, string(r.Ended)}, {fieldNext, r.Next}} {
		if pair[1] != "" {
			args = append(args, pair[0], pair[1])
		}
	}
	if !r.Since.IsZero() {
		args = append(args, fieldSince, milliseconds(r.Since))
	}
	if r.User != "" && r.Ended == "" {
		args = append(args, fieldIndexed, milliseconds(indexEnd(r.Expires)))
	}
	return appendValues(args, r.Values)
}

func appendValues(args []string, values map[string]string) []string {
	for name, text := range values {
		args = append(args, valuePrefix+name, text)
	}
	return args
}

// appendNames appends the number of fields to drop, and these.
func appendNames(args, names []string) []string {
	args = append(args, strconv.Itoa(len(names)))
	for _, name := range names {
		args = append(args, valuePrefix+name)
	}
	return args
}

// dropped returns the fields that a session loses when its hash is renamed: values, and fields
// that the new record does not have.
func dropped(m store.Move) []string {
	drop := make([]string, 0, len(m.Drop)+2)
	for _, name := range m.Drop {
		drop = append(drop, valuePrefix+name)
	}
	if m.Record.Name == "" {
		drop = append(drop, fieldName)
	}
	if m.Record.Since.IsZero() {
		drop = append(drop, fieldSince)
	}
	if m.Record.User == "" {
		drop = append(drop, fieldIndexed)
	}
	return drop
}

// decode reads the reply to HGETALL.
func decode(reply rueidis.RedisResult) (r store.Record, found bool, err error) {
	hash, err := reply.AsStrMap()
	if err != nil || len(hash) == 0 {
		return store.Record{}, false, err
	}
	r, err = decodeHash(hash)
	return r, err == nil, err
}

// decodeHash reads the fields of a session's hash.
func decodeHash(hash map[string]string) (r store.Record, err error) {
	user, ok := hash[fieldUser]
	if !ok {
		return store.Record{}, fmt.Errorf("%w: it has no user field", store.ErrCorrupt)
	}
	r.User, r.Name, r.Kind, r.Ended, r.Next = user, hash[fieldName], hash[fieldKind], store.Ending(hash[fieldEnded]), hash[fieldNext]
	if r.Ended == endedBefore {
		r.Ended = store.Renewed
	}
	var errs [4]error
	r.Created, errs[0] = timeOf(hash, fieldCreated)
	r.Seen, errs[1] = timeOf(hash, fieldSeen)
	r.Expires, errs[2] = timeOf(hash, fieldExpires)
	if hash[fieldSince] != "" {
		r.Since, errs[3] = timeOf(hash, fieldSince)
	}
	if err := errors.Join(errs[:]...); err != nil {
		return store.Record{}, err
	}
	r.Values = make(map[string]string, max(0, len(hash)-metaFields))
	for field, text := range hash {
		if name, ok := strings.CutPrefix(field, valuePrefix); ok {
			r.Values[name] = text
		}
	}
	return r, nil
}

func timeOf(hash map[string]string, field string) (time.Time, error) {
	n, err := strconv.ParseInt(hash[field], 10, 64)
	switch {
	case err != nil:
		return time.Time{}, fmt.Errorf("%w: field %q is no time", store.ErrCorrupt, field)
	case n == 0:
		return time.Time{}, nil
	}
	return time.UnixMilli(n), nil
}

// answer reads the reply of a script: a number, or a text instead.
func answer(reply rueidis.RedisResult) (n int64, text string, err error) {
	message, err := reply.ToMessage()
	if err != nil {
		return 0, "", err
	}
	if !message.IsInt64() {
		text, err = message.ToString()
		return done, text, err
	}
	n, err = message.AsInt64()
	switch {
	case err != nil:
	case n == corrupt:
		err = store.ErrCorrupt
	case n == tooLarge:
		err = store.ErrTooLarge
	}
	return n, "", err
}

// asStored returns a record as it reads once it was stored.
func asStored(r store.Record) store.Record {
	for _, t := range [...]*time.Time{&r.Created, &r.Since, &r.Seen, &r.Expires} {
		if !t.IsZero() {
			*t = time.UnixMilli(t.UnixMilli())
		}
	}
	if r.Values = maps.Clone(r.Values); r.Values == nil {
		r.Values = make(map[string]string)
	}
	return r
}

// answerAndPeek reads the reply of a script that returns the fields of other records
// after its answer.
func answerAndPeek(reply rueidis.RedisResult) (n int64, text string, peeked []string, err error) {
	message, err := reply.ToMessage()
	if err != nil || !message.IsArray() {
		n, text, err = answer(reply)
		return n, text, nil, err
	}
	parts, err := message.ToArray()
	if err != nil || len(parts) == 0 {
		return 0, "", nil, fmt.Errorf("an empty answer: %w", err)
	}
	n = done
	if parts[0].IsInt64() {
		n, err = parts[0].AsInt64()
	} else {
		text, err = parts[0].ToString()
	}
	for _, part := range parts[1:] {
		field, fieldErr := part.ToString()
		peeked, err = append(peeked, field), errors.Join(err, fieldErr)
	}
	return n, text, peeked, err
}

// failed is the error of an operation. Its text holds no key and no value.
func failed(doing string, err error) error {
	if reply, ok := rueidis.IsRedisErr(err); ok {
		text := reply.Error()
		if strings.HasPrefix(text, "WRONGTYPE") {
			err = store.ErrCorrupt
		} else if short, _, repeats := strings.Cut(text, ", with args"); repeats {
			err = fmt.Errorf("the server refuses: %s", short)
		}
	}
	return fmt.Errorf("redisstore: %s: %w", doing, err)
}
