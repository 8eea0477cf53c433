package expresslive_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/store/express"
)

// operations is how many random operations TestModel does on each medium: 10,000 in CI.
func operations(t *testing.T) int {
	t.Helper()
	text := os.Getenv("EXPRESS_OPERATIONS")
	if text == "" {
		return 300
	}
	n, err := strconv.Atoi(text)
	require.NoError(t, err)
	return n
}

// A visitor is what a browser's session must be.
type visitor struct {
	*browser

	user   string // "": nobody
	values map[string]any
	old    []*browser // with cookies of sessions that have ended
}

// randomValue returns what both sides can keep.
func randomValue(r *rand.Rand) any {
	texts := []string{"", "tea", `"quoted"\`, "naïve \u2028 ключ \U0001f36a", "<&>", "line\nbreak", "s:x.y", "j:{}"}
	switch r.IntN(9) {
	case 0:
		return texts[r.IntN(len(texts))]
	case 1:
		return float64(r.IntN(1000) - 500)
	case 2:
		return r.Float64() * 1e6
	case 3:
		return r.IntN(2) == 0
	case 4:
		return float64(1<<53 - 1)
	case 5:
		return []any{}
	case 6:
		return map[string]any{}
	case 7:
		return []any{texts[r.IntN(len(texts))], nil, float64(r.IntN(9)), []any{}, map[string]any{"a": []any{}, `"`: nil}}
	}
	return map[string]any{"name": texts[r.IntN(len(texts))], "list": []any{[]any{}, true}, "n": float64(r.IntN(100))}
}

// TestModel does random operations on both sides, one at a time, and compares what both
// say with a model.
func TestModel(t *testing.T) {
	eachMedium(t, func(t *testing.T, m *medium) {
		s := newSite(t, m, express.Config{}, sessionkit.Config{})
		seed := rand.Uint64()
		t.Logf("seed %d", seed)
		r := rand.New(rand.NewPCG(seed, 0))
		visitors := make([]*visitor, 4)
		for i := range visitors {
			visitors[i] = &visitor{browser: s.browser(t), values: make(map[string]any)}
		}
		sides := []string{"/node", "/gin"}
		for range operations(t) {
			visitors[r.IntN(len(visitors))].act(r, sides[r.IntN(2)], sides[r.IntN(2)])
		}
	})
}

// act does one operation on one side and looks at the session on the other, or the same.
func (v *visitor) act(r *rand.Rand, side, reader string) {
	v.t.Helper()
	name := names[r.IntN(len(names))]
	switch op := r.IntN(100); {
	case op < 35 && name != "cart":
		value := randomValue(r)
		v.get(side+"/set", "name", name, "value", encoded(v.t, value))
		v.values[name] = value
	case op < 45:
		v.get(side+"/delete", "name", name)
		delete(v.values, name)
	case op < 65:
		item := fmt.Sprint("item ", r.IntN(100))
		v.get(side+"/add", "item", item)
		list, _ := v.values["cart"].([]any)
		v.values["cart"] = append(slices.Clone(list), map[string]any{"name": item, "n": 1.0})
	case op < 75:
		user := fmt.Sprint("user ", r.IntN(3))
		v.leave()
		v.get(side+"/login", "user", user)
		if v.user != "" && (v.user != user || side == "/node") {
			v.values = make(map[string]any)
		}
		v.user = user
	case op < 82:
		v.leave()
		v.get(side + "/logout")
		v.user, v.values = "", make(map[string]any)
	case op < 90:
		if v.user != "" || len(v.values) > 0 {
			v.leave()
		}
		v.get(side + "/renew")
	default: // a look on both sides
	}
	v.compare(reader)
	if len(v.old) > 0 {
		old := v.old[r.IntN(len(v.old))]
		require.Equal(v.t, "null", old.get(reader+"/me"), "an ended session")
		require.JSONEq(v.t, "{}", old.get(reader+"/all"))
	}
}

// leave keeps the cookie that is about to end.
func (v *visitor) leave() {
	if v.cookie() != "" {
		v.old = append(v.old, v.fork())
		v.old = v.old[max(0, len(v.old)-5):]
	}
}

func (v *visitor) compare(reader string) {
	v.t.Helper()
	want := "null"
	if v.user != "" {
		want = strconv.Quote(v.user)
	}
	require.Equal(v.t, want, v.get(reader+"/me"))
	var got map[string]any
	require.NoError(v.t, json.Unmarshal([]byte(v.get(reader+"/all")), &got))
	require.Equal(v.t, maps.Collect(maps.All(v.values)), got, "as %s says", reader)
}
