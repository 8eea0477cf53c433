package main_test

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	main "github.com/gin-sessionkit/sessionkit/example"
)

func TestSecretsAreMadeOnce(t *testing.T) {
	name := filepath.Join(t.TempDir(), "key")
	made, err := main.ReadSecrets(name)
	require.NoError(t, err)
	require.Len(t, made, 1)
	assert.Len(t, made[0], 32)
	info, err := os.Stat(name)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())

	read, err := main.ReadSecrets(name)
	require.NoError(t, err)
	assert.Equal(t, made, read)
}

func TestSecretsAreReadInOrder(t *testing.T) {
	name := filepath.Join(t.TempDir(), "key")
	encode := base64.StdEncoding.EncodeToString
	require.NoError(t, os.WriteFile(name, []byte(encode([]byte("new"))+"\r\n\n"+encode([]byte("old"))), 0o600))
	secrets, err := main.ReadSecrets(name)
	require.NoError(t, err)
	assert.Equal(t, [][]byte{[]byte("new"), []byte("old")}, secrets)
}

func TestSecretsThatCannotBe(t *testing.T) {
	for name, text := range map[string]string{"nothing": "\n", "no base64": "hunter2!"} {
		t.Run(name, func(t *testing.T) {
			s := settings(t, "127.0.0.1:0")
			require.NoError(t, os.WriteFile(s.Secrets, []byte(text), 0o600))
			err := main.Run(t.Context(), s, nil)
			require.ErrorContains(t, err, "-secrets: ")
			assert.NotContains(t, err.Error(), "hunter2")
		})
	}
	s := settings(t, "127.0.0.1:0")
	s.Secrets = t.TempDir()
	require.ErrorContains(t, main.Run(t.Context(), s, nil), "-secrets: ")
}
