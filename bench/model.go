package main

import (
	"errors"
	"os"
)

func (r *results) refreshModel(path string) error {
	_, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}
