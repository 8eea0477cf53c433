// Package storeerr tells what the errors of stores mean: of those that know sessions.Store
// and no more, and what the errors of our own do not tell applications.
package storeerr

import (
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gorilla/securecookie"
)

// Gone reports whether an error means that there is no such session. A file that
// is not there means that only while its directory is: the error of a socket
// that is not there, or of a disk that is not mounted, looks the same.
func Gone(err error) bool {
	if errors.Is(err, sql.ErrNoRows) {
		return true
	}
	missing, ok := errors.AsType[*fs.PathError](err)
	if !ok || !errors.Is(missing, fs.ErrNotExist) {
		return false
	}
	_, err = os.Stat(filepath.Dir(missing.Path))
	return err == nil
}

// Undecodable reports whether an error means that what was read makes no sense.
// The errors of encoding/gob have no type.
func Undecodable(err error) bool {
	if invalid, ok := errors.AsType[securecookie.Error](err); ok {
		return invalid.IsDecode()
	}
	if _, ok := errors.AsType[*json.SyntaxError](err); ok {
		return true
	}
	if _, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return true
	}
	return strings.HasPrefix(err.Error(), "gob: ")
}

// Signed reports whether an error means that a cookie which the old store has signed does not decode:
// nobody else can have made it. Of the errors of securecookie that one has a cause, and so has what is
// no base64, which comes before.
func Signed(err error) bool {
	all, ok := errors.AsType[securecookie.MultiError](err)
	if !ok {
		all = securecookie.MultiError{err}
	}
	return slices.ContainsFunc(all, func(err error) bool {
		invalid, ok := errors.AsType[securecookie.Error](err)
		if !ok || invalid.Cause() == nil {
			return false
		}
		_, noBase64 := errors.AsType[base64.CorruptInputError](invalid.Cause())
		return !noBase64
	})
}

// EndedHereError is the error of a renewal that has itself ended the session, as one that was to
// be ended with others of its user.
type EndedHereError struct{ Err error }

func (e EndedHereError) Error() string { return e.Err.Error() }

// Unwrap returns the error that applications know.
func (e EndedHereError) Unwrap() error { return e.Err }
