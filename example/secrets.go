package main

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// readSecrets reads the secrets of sealed cookies: one a line, in base64. The first
// one seals, all of them open. To rotate, first add a new line at the end, for all
// processes, then move it to the front. A file that is not there is made, with a new
// secret. Processes that share sessions share it.
func readSecrets(name string) ([][]byte, error) {
	text, err := os.ReadFile(name) // #nosec G304 -- it is named by whoever starts the program
	if errors.Is(err, fs.ErrNotExist) {
		text, err = newSecrets(name)
	}
	if err != nil {
		return nil, fmt.Errorf("-secrets: %w", err)
	}
	var secrets [][]byte
	for line := range bytes.FieldsSeq(text) {
		secret, err := base64.StdEncoding.AppendDecode(nil, line)
		if err != nil {
			return nil, fmt.Errorf("-secrets: a line of %s is no base64", name) // and is not repeated here
		}
		secrets = append(secrets, secret)
	}
	if len(secrets) == 0 {
		return nil, fmt.Errorf("-secrets: %s is empty; delete it, and a new one is made", name)
	}
	return secrets, nil
}

// newSecrets makes a file with a secret.
func newSecrets(name string) ([]byte, error) {
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // it never fails
	text := append(base64.StdEncoding.AppendEncode(nil, secret), '\n')
	return text, writeNew(name, text)
}

// writeNew makes a file that only its owner can read.
func writeNew(name string, text []byte) error {
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) // #nosec G304 -- as above
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	return errors.Join(err, file.Close())
}
