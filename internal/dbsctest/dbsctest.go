// Package dbsctest makes the proofs of a browser, for tests.
package dbsctest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"testing"
)

// A Key is the private key of a browser.
type Key struct {
	tb  testing.TB
	ec  *ecdsa.PrivateKey
	rsa *rsa.PrivateKey
}

// NewES256 returns a key as Chromium makes it.
func NewES256(tb testing.TB) *Key {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	return &Key{tb: tb, ec: key}
}

// NewRS256 returns a key as a TPM without elliptic curves makes it.
func NewRS256(tb testing.TB, bits int) *Key {
	tb.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		tb.Fatal(err)
	}
	return &Key{tb: tb, rsa: key}
}

// Object is a JSON object.
type Object = map[string]any

// Algorithm returns the alg of the key's proofs.
func (k *Key) Algorithm() string {
	if k.ec != nil {
		return "ES256"
	}
	return "RS256"
}

// JWK returns the public key.
func (k *Key) JWK() Object {
	if k.ec == nil {
		return Object{"kty": "RSA", "n": encode(k.rsa.N.Bytes()), "e": encode(big.NewInt(int64(k.rsa.E)).Bytes())}
	}
	point, err := k.ec.PublicKey.Bytes()
	if err != nil {
		k.tb.Fatal(err)
	}
	return Object{"kty": "EC", "crv": "P-256", "x": encode(point[1:33]), "y": encode(point[33:])}
}

// Registration returns a proof that brings the key.
func (k *Key) Registration(challenge string) string {
	return k.Sign(Object{"alg": k.Algorithm(), "jwk": k.JWK(), "typ": "dbsc+jwt"}, Object{"jti": challenge})
}

// Refresh returns a proof for a refresh.
func (k *Key) Refresh(challenge string) string {
	return k.Sign(Object{"alg": k.Algorithm(), "typ": "dbsc+jwt"}, Object{"jti": challenge})
}

// Sign returns a JWT. Parts that are texts stand in it as they are.
func (k *Key) Sign(header, payload any) string {
	signed := encode(k.text(header)) + "." + encode(k.text(payload))
	return signed + "." + encode(k.Signature(signed))
}

// Signature signs a text.
func (k *Key) Signature(message string) []byte {
	sum := sha256.Sum256([]byte(message))
	if k.ec == nil {
		sig, err := rsa.SignPKCS1v15(rand.Reader, k.rsa, crypto.SHA256, sum[:])
		if err != nil {
			k.tb.Fatal(err)
		}
		return sig
	}
	r, s, err := ecdsa.Sign(rand.Reader, k.ec, sum[:])
	if err != nil {
		k.tb.Fatal(err)
	}
	sig := make([]byte, 64)
	r.FillBytes(sig[:32])
	s.FillBytes(sig[32:])
	return sig
}

func (k *Key) text(part any) []byte {
	if s, ok := part.(string); ok {
		return []byte(s)
	}
	b, err := json.Marshal(part)
	if err != nil {
		k.tb.Fatal(err)
	}
	return b
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
