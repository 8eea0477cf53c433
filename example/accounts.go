package main

import "golang.org/x/crypto/bcrypt"

// accounts holds the bcrypt hash of each user's password.
var accounts = map[string]string{
	"alice": "$2a$10$ksayf6ir2ea9MCJqeGQAEOBpV2TLm2.SVUEtwpFdBw4H3XmDNmbZW",
	"bob":   "$2a$10$goqnd7Oh9YSpgx9ATKt9meobEOcDl9hh0NTAQlMrCCyf4NQoI0XYq",
}

// nobodysHash is compared with where there is no such user, so that the time the
// answer takes does not tell which users exist.
const nobodysHash = "$2a$10$JgPgJbBOE6a6IuDqlanYPOFLADO1uTPE2o5IxvPtaKPXOmyJwDkKK"

// authenticate reports whether the password is the user's.
func authenticate(user, password string) bool {
	hash, known := accounts[user]
	if !known {
		hash = nobodysHash
	}
	matches := bcrypt.CompareHashAndPassword([]byte(hash), []byte(password)) == nil
	return known && matches
}
