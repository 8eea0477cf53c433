package main_test

import (
	"bytes"
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	main "github.com/gin-sessionkit/sessionkit/bench"
)

type answer struct {
	Samples  map[string]main.Sample
	Requests int
	Err      string
}

// generate gives jobs to the load generator and returns its answers.
func generate(t *testing.T, jobs ...map[string]any) []answer {
	t.Helper()
	var in, out bytes.Buffer
	for _, j := range jobs {
		require.NoError(t, json.NewEncoder(&in).Encode(j))
	}
	require.NoError(t, main.Generate(&in, &out))
	answers := make([]answer, len(jobs))
	decoder := json.NewDecoder(&out)
	for i := range answers {
		require.NoError(t, decoder.Decode(&answers[i]))
	}
	return answers
}

func TestLoadOverHTTP(t *testing.T) {
	server := httptest.NewServer(find(t, "sessionkit memstore").Open(t).Handler())
	defer server.Close()
	address := strings.TrimPrefix(server.URL, "http://")
	cell := func(w, c string) map[string]any {
		return map[string]any{"Address": address, "For": 1e6, "Cell": main.Cell{Work: main.Read, Content: main.Small, AtATime: 4}.With(w, c)}
	}
	answers := generate(
		t,
		map[string]any{"Address": address, "Prove": map[string]any{"Name": "it", "Renews": true, "Ends": true}},
		cell("read", "small"), cell("write", "large"), cell("sign in", "small"),
	)
	for i, a := range answers {
		assert.Empty(t, a.Err, i)
	}
	assert.Positive(t, answers[0].Requests)
	for i, w := range []string{"read", "write", "sign in"} {
		s := answers[i+1].Samples[w]
		assert.Positive(t, s.Ops, w)
		assert.Positive(t, s.P50, w)
		assert.LessOrEqual(t, s.P50, s.P99, w)
		assert.GreaterOrEqual(t, answers[i+1].Requests, s.Ops)
	}
	assert.Positive(t, answers[3].Samples["sign out"].Ops)
}

func TestLoadReportsWhatFails(t *testing.T) {
	server := httptest.NewServer(find(t, "sessionkit memstore").Wrapped(answering(map[string]string{"/small/read": "none"})).Open(t).Handler())
	defer server.Close()
	job := map[string]any{"Address": strings.TrimPrefix(server.URL, "http://"), "For": 1e6, "Cell": main.Cell{Work: main.Read, Content: main.Small, AtATime: 1}}
	answers := generate(t, job)
	assert.Contains(t, answers[0].Err, `the answer is "none"`)
	assert.Empty(t, answers[0].Samples)
}
