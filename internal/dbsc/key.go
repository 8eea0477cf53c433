package dbsc

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
)

// The algorithms of proofs (RFC 7518 section 3.1). There is no other: "none" proves
// nothing.
const (
	ES256 = "ES256"
	RS256 = "RS256"
)

// The sizes of keys that are accepted.
const (
	p256Bytes     = 32
	minRSABits    = 2048
	maxRSABits    = 4096
	publicRSA     = 65537
	es256SigBytes = 2 * p256Bytes
)

// A Key is the public key of a browser. The zero value verifies nothing.
type Key struct {
	alg    string
	public crypto.PublicKey // *ecdsa.PublicKey or *rsa.PublicKey
}

// Algorithm returns the algorithm of the key's proofs.
func (k Key) Algorithm() string { return k.alg }

var errKey = errors.New("dbsc: the key is not one for ES256 or RS256")

// keyOf reads a JWK (RFC 7517) for an algorithm.
func keyOf(alg string, jwk []byte) (Key, error) {
	m, err := members(jwk)
	if err != nil {
		return Key{}, err
	}
	if _, private := m["d"]; private {
		return Key{}, errKey
	}
	switch kty := text(m["kty"]); {
	case alg == ES256 && kty == "EC" && text(m["crv"]) == "P-256":
		x, y := binary(m["x"]), binary(m["y"])
		if len(x) != p256Bytes || len(y) != p256Bytes {
			return Key{}, errKey
		}
		point := append(append([]byte{4}, x...), y...) // SEC 1 section 2.3.3: uncompressed
		public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
		if err != nil { // it is not on the curve
			return Key{}, errKey
		}
		return Key{ES256, public}, nil
	case alg == RS256 && kty == "RSA":
		n, e := new(big.Int).SetBytes(binary(m["n"])), new(big.Int).SetBytes(binary(m["e"]))
		if !e.IsInt64() || e.Int64() != publicRSA || n.BitLen() < minRSABits || n.BitLen() > maxRSABits || n.Bit(0) == 0 {
			return Key{}, errKey
		}
		return Key{RS256, &rsa.PublicKey{N: n, E: publicRSA}}, nil
	}
	return Key{}, errKey
}

// text returns a JSON string, "" if it is none.
func text(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

// binary returns what a JSON string of base64url holds, nothing if it is none.
func binary(raw json.RawMessage) []byte {
	b, err := decode(text(raw))
	if err != nil {
		return nil
	}
	return b
}

// verify reports whether the key has signed a message.
func (k Key) verify(message string, sig []byte) bool {
	sum := sha256.Sum256([]byte(message))
	switch public := k.public.(type) {
	case *ecdsa.PublicKey:
		if len(sig) != es256SigBytes { // RFC 7518 section 3.4: r and s, each of 32 bytes
			return false
		}
		r, s := new(big.Int).SetBytes(sig[:p256Bytes]), new(big.Int).SetBytes(sig[p256Bytes:])
		return ecdsa.Verify(public, sum[:], r, s)
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(public, crypto.SHA256, sum[:], sig) == nil
	}
	return false
}

// MarshalText returns the key in the form of PKIX, in base64url.
func (k Key) MarshalText() ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(k.public)
	if err != nil {
		return nil, errKey
	}
	return base64.RawURLEncoding.AppendEncode(nil, der), nil
}

// UnmarshalText reads what MarshalText has written.
func (k *Key) UnmarshalText(b []byte) error {
	der, err := decode(string(b))
	if err != nil {
		return errKey
	}
	public, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return errKey
	}
	switch public := public.(type) {
	case *ecdsa.PublicKey:
		if public.Curve == elliptic.P256() {
			*k = Key{ES256, public}
			return nil
		}
	case *rsa.PublicKey:
		*k = Key{RS256, public}
		return nil
	}
	return errKey
}
