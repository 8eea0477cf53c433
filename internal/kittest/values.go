package kittest

import (
	"fmt"
	"time"
)

// UserOf says who is signed in to an application that keeps an int.
func UserOf(values map[any]any) string {
	if id, ok := values["user_id"].(int); ok {
		return fmt.Sprint(id)
	}
	return ""
}

type (
	UserID string
	Points int32
	Level  int
	Nested struct {
		ID    UserID
		Items []Item
		Tags  map[string]*Item
		When  time.Time
		Any   any
	}
	Registered struct{ A, B string }
)

func (l Level) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "level %d", int(l)), nil }

func (l *Level) UnmarshalText(b []byte) error {
	_, err := fmt.Sscanf(string(b), "level %d", (*int)(l))
	return err
}
