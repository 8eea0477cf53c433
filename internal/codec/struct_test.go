package codec_test

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/gin-sessionkit/sessionkit/internal/codec"
)

type (
	// options are read with a default, and written without a method.
	options struct{ Size int }

	// grade cannot be written if it is zero.
	grade int

	// status has methods, which types that embed it may replace.
	status struct{ Known bool }

	maybe[T any] struct {
		status
		Value T
	}

	// sized has a method that calls the one of what it embeds.
	sized struct {
		options
		Name string
	}

	// instant writes itself, and what it embeds reads it.
	instant struct {
		time.Time
		Name string
	}

	base    struct{ Name string }
	alone   struct{ time.Time }
	stamped struct {
		time.Time
		Name string
	}
	reference struct {
		*time.Time
		Name string
	}
	tagged struct {
		time.Time `json:"at"`
		Name      string
	}
	page[T any] struct {
		time.Time
		Items []T
	}
	widget struct {
		options
		Name string
	}
	graded struct {
		grade
		Name string
	}
	customer struct{ ID, Name string }
	address  struct{ ID, Street string }
	Tree     struct { // as its own pointer is embedded
		*Tree
		Name string
	}
)

func (o *options) UnmarshalJSON(text []byte) error {
	type plain options
	o.Size = 10
	return json.Unmarshal(text, (*plain)(o))
}

func (g grade) MarshalText() ([]byte, error) {
	if g == 0 {
		return nil, errors.New("no grade")
	}
	return fmt.Appendf(nil, "grade %d", int(g)), nil
}

func (g *grade) UnmarshalText(text []byte) error {
	_, err := fmt.Sscanf(string(text), "grade %d", (*int)(g))
	return err
}

func (s status) MarshalJSON() ([]byte, error) { return json.Marshal(s.Known) }

func (s *status) UnmarshalJSON(text []byte) error { return json.Unmarshal(text, &s.Known) }

func (m maybe[T]) MarshalJSON() ([]byte, error) {
	if !m.Known {
		return m.status.MarshalJSON()
	}
	return json.Marshal(m.Value)
}

func (m *maybe[T]) UnmarshalJSON(text []byte) error {
	if m.Known = string(text) != "false"; !m.Known {
		return nil
	}
	return json.Unmarshal(text, &m.Value)
}

func (s *sized) UnmarshalJSON(text []byte) error {
	if err := s.options.UnmarshalJSON(text); err != nil {
		return err
	}
	return json.Unmarshal(text, &struct{ Name *string }{&s.Name})
}

func (i instant) MarshalJSON() ([]byte, error) { return json.Marshal(i.Format(time.RFC3339)) }

// keeps reports whether encoding/json reads a value as it has written it.
func keeps(v any) (kept bool) {
	defer func() {
		if recover() != nil { // a method of a nil pointer
			kept = false
		}
	}()
	t := reflect.TypeOf(v)
	written, read := reflect.New(t), reflect.New(t)
	written.Elem().Set(reflect.ValueOf(v))
	text, err := json.Marshal(written.Interface())
	return err == nil && json.Unmarshal(text, read.Interface()) == nil && reflect.DeepEqual(v, read.Elem().Interface())
}

// TestEmbedded: what encoding/json loses is refused, and nothing else is.
func TestEmbedded(t *testing.T) {
	at, addr := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), netip.MustParseAddr("192.0.2.1")
	full := stamped{at, "x"}
	const only = "as its embedded time.Time alone"
	for i, test := range []struct {
		v       any
		refused string
	}{
		{full, "JSON writes it " + only},
		{&full, only},
		{map[string][]stamped{"a": {full}}, only},
		{struct{ stamped }{full}, only},
		{struct{ S struct{ stamped } }{struct{ stamped }{full}}, "field S: JSON writes it " + only},
		{struct {
			time.Time
			base
		}{at, base{"x"}}, only},
		{struct {
			time.Time
			netip.Addr
		}{at, addr}, only},
		{tagged{at, "x"}, only},
		{page[int]{at, []int{1}}, only},
		{instant{at, "x"}, "JSON reads it " + only},
		{map[struct {
			netip.Addr
			Name string
		}]int{{addr, "x"}: 1}, "JSON writes it as its embedded netip.Addr alone"},
		{graded{1, "x"}, "as its embedded codec_test.grade alone"},
		{widget{options{1}, "x"}, "JSON reads it as its embedded codec_test.options alone"},
		{[]widget{{options{1}, "x"}}, "as its embedded codec_test.options alone"},
		{reference{&at, "x"}, "as its embedded *time.Time alone"},
		{struct{ *time.Time }{&at}, "JSON reads it by a method of its embedded *time.Time, which is nil then"},
		{struct{ *options }{&options{1}}, "which is nil then"},
		{struct{ json.Unmarshaler }{new(options)}, "which is nil then"},
		{struct { // both have the method, so JSON calls neither
			netip.Addr
			netip.Prefix
		}{addr, netip.PrefixFrom(addr, 8)}, "field Addr: it has no exported field"},
		{struct{ *base }{&base{"x"}}, "field base: JSON cannot decode into an embedded pointer"},

		{struct{ time.Time }{at}, ""},
		{struct {
			time.Time
			Cache map[string]int `json:"-"`
			none  struct{}
		}{Time: at}, ""},
		{struct{ alone }{alone{at}}, ""},
		{struct{ options }{options{1}}, ""},
		{struct {
			Options options
			Name    string
		}{options{1}, "x"}, ""},
		{sized{options{1}, "x"}, ""},
		{maybe[string]{status{true}, "x"}, ""},
		{[]maybe[int]{{status{true}, 1}, {}}, ""},
		{map[grade]status{1: {true}}, ""},
		{Tree{Name: "x"}, ""},
		{struct {
			customer
			Total int
		}{customer{"1", "x"}, 2}, ""},
	} {
		reason := codec.Unstorable(reflect.TypeOf(test.v))
		if test.refused == "" {
			assert.Empty(t, reason, "%d: %T", i, test.v)
		} else {
			assert.Contains(t, reason, test.refused, "%d: %T", i, test.v)
		}
		assert.Equal(t, test.refused == "", keeps(test.v), "%d: %T", i, test.v)
	}
}

// TestFieldsOfOneName: encoding/json has neither of two, which is refused.
func TestFieldsOfOneName(t *testing.T) {
	assert.Equal(t, `field Order: fields customer.ID and address.ID are both named "ID" in JSON, which has one of them at most; give them different names by json tags`,
		codec.Unstorable(reflect.TypeFor[[]struct {
			Order struct {
				customer
				address
			}
		}]()))
	assert.Empty(t, codec.Unstorable(reflect.TypeFor[struct {
		customer
		address
		ID int
	}]()), "as in Go, the one that is not embedded is that of the struct")

	assert.Contains(t, codec.Unstorable(reflect.TypeFor[struct {
		customer
		Number int `json:"ID"`
	}]()), `fields Number and customer.ID are both named "ID" in JSON`)

	random := rand.New(rand.NewPCG(1, 2)) // #nosec G404 -- for types
	kept, refused := 0, 0
	for range 1000 {
		v := reflect.New(structOf(random, 3)).Elem()
		names := fill(v)
		switch reason := codec.Unstorable(v.Type()); {
		case keeps(v.Interface()):
			kept++
			assert.Empty(t, reason, v.Type())
		case strings.Contains(reason, "are both named"):
			refused++
		default: // but for what is embedded more deeply than another of its name
			text, err := json.Marshal(v.Interface())
			assert.NoError(t, err)
			var members map[string]any
			assert.NoError(t, json.Unmarshal(text, &members))
			for _, name := range names {
				assert.Contains(t, members, name, v.Type())
			}
		}
	}
	assert.Greater(t, min(kept, refused), 100)
}

// structOf returns a struct of strings, and of structs that it embeds.
func structOf(random *rand.Rand, depth int) reflect.Type {
	var fields []reflect.StructField
	names := random.Perm(4)
	for _, n := range names[:1+random.IntN(4)] {
		f := reflect.StructField{Name: string(rune('A' + n)), Type: reflect.TypeFor[string]()}
		if depth > 0 && random.IntN(3) == 0 {
			f.Type, f.Anonymous = structOf(random, depth-1), true
			f.Name = "Of" + f.Name
			if random.IntN(3) == 0 {
				f.Type = reflect.PointerTo(f.Type)
			}
		} else {
			f.Tag = reflect.StructTag(`json:"` + []string{"", "", "", "A", "B,omitempty", "e"}[random.IntN(6)] + `"`)
		}
		fields = append(fields, f)
	}
	return reflect.StructOf(fields)
}

// fill sets all strings of a struct, and returns their names in JSON.
func fill(v reflect.Value) (names []string) {
	for f, field := range v.Fields() {
		switch name, _, _ := strings.Cut(f.Tag.Get("json"), ","); {
		case f.Type.Kind() == reflect.Pointer:
			field.Set(reflect.New(f.Type.Elem()))
			names = append(names, fill(field.Elem())...)
		case f.Anonymous:
			names = append(names, fill(field)...)
		default:
			field.SetString("x")
			names = append(names, cmp.Or(name, f.Name))
		}
	}
	return names
}
