package store

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/gin-sessionkit/sessionkit/internal/dbsc"
	"github.com/gin-sessionkit/sessionkit/internal/value"
)

// uncounted are the names of the values that do not count towards [Config].MaxBytes. They
// are small, and what they are for must also work for a session that is full: to sign in,
// and to be asked for a proof of the device.
var uncounted = [...]string{
	SignInValue, value.CookieDue, value.MaxAge, value.Until, dbsc.Name, dbsc.NameOffer, dbsc.NameUsed,
}

// sizes returns how many bytes names and texts take: of the values that count towards
// [Config].MaxBytes, and of the others.
func sizes(values map[string]string) (counted, others int) {
	for name, text := range values {
		if value.IsOwn(name) && slices.Contains(uncounted[:], name) {
			others += len(name) + len(text)
		} else {
			counted += len(name) + len(text)
		}
	}
	return counted, others
}

// judge returns [ErrTooLarge] if the values that count would take more than
// [Config].MaxBytes once set is put and drop dropped, and more than they do.
func (s *Store) judge(values, set map[string]string, drop []string) error {
	before, _ := sizes(values)
	added, _ := sizes(set)
	if before+added <= s.config.MaxBytes {
		return nil
	}
	after, _ := sizes(value.Apply(values, set, drop))
	if after <= max(before, s.config.MaxBytes) {
		return nil
	}
	return wrap("saving a session", tooLarge(after, s.config.MaxBytes))
}

// bytesFor returns the bound of a change to a session that was loaded as held; 0: none, for
// it adds nothing that counts. The backend judges what stands. What cannot fit is not sent.
func (s *Store) bytesFor(held, set map[string]string, drop []string) (most int, err error) {
	counted, _ := sizes(set)
	if counted == 0 {
		return 0, nil
	}
	if counted > s.config.MaxBytes {
		err = s.judge(held, set, drop)
	}
	return s.config.MaxBytes, err
}

// bytesAgain returns the bound with which a change is to be tried once more, after an
// attempt has failed with failed. The backend counts all values alike, so a session that
// stands may have room for the change beside those that do not count. most is 0 if the
// change is not to be tried again, and err says why.
func (s *Store) bytesAgain(ctx context.Context, id string, set map[string]string, drop []string, failed error) (most int, err error) {
	if !errors.Is(failed, ErrTooLarge) {
		return 0, failed
	}
	records, err := s.loadFresh(ctx, id)
	if err != nil {
		return 0, err
	}
	stands := records[id].Values
	if err := s.judge(stands, set, drop); err != nil {
		return 0, err
	}
	before, _ := sizes(stands)
	_, others := sizes(value.Apply(stands, set, drop))
	return max(before, s.config.MaxBytes) + others, nil
}

// fits judges what all values take, as backends do.
func fits(values, set map[string]string, drop []string, most int) error {
	if most == 0 {
		return nil
	}
	if size, exceeds := value.Exceeds(values, set, drop, most); exceeds {
		return tooLarge(size, most)
	}
	return nil
}

func tooLarge(size, most int) error {
	return fmt.Errorf("storing %d bytes in a session, more than MaxBytes = %d: %w", size, most, ErrTooLarge)
}
