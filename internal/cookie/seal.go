package cookie

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"strings"
	"time"
)

// A sealed cookie is base64url of
//
//	version (1) | expiry, Unix seconds, 0 for none (8) | value | HMAC-SHA-256 (32)
//	version (1) | nonce (12) | AES-256-GCM of: expiry (8) | value
//
// The MAC covers all that stands before it, the GCM authenticates the version;
// both cover the cookie's name. A cookie has one spelling and no other.
const (
	versionSigned    = 1
	versionEncrypted = 2

	expiryBytes = 8
)

var sealedText = base64.RawURLEncoding.Strict()

// Sealer seals cookies with the keys of one secret. It does not change.
type Sealer struct {
	signing []byte
	aead    cipher.AEAD
}

// NewSealer derives a key for each purpose (RFC 5869), so that no signature helps
// against an encryption.
func NewSealer(secret []byte) Sealer {
	derive := func(purpose string) []byte {
		key, err := hkdf.Key(sha256.New, secret, nil, "sessionkit cookie, version 1: "+purpose, sha256.Size)
		if err != nil {
			panic(err) // only for a key longer than HKDF can give
		}
		return key
	}
	block, err := aes.NewCipher(derive("encrypted"))
	if err != nil {
		panic(err) // only for a key of another size
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err) // only for a cipher of another block size
	}
	return Sealer{signing: derive("signed"), aead: aead}
}

// Sign seals a value that may be read and must not be changed.
func (s Sealer) Sign(name string, value []byte, expiry time.Time) string {
	b := appendExpiry([]byte{versionSigned}, expiry)
	b = append(b, value...)
	return sealedText.EncodeToString(append(b, s.mac(name, b)...))
}

func (s Sealer) mac(name string, b []byte) []byte {
	h := hmac.New(sha256.New, s.signing)
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(name)))) // where the name ends is a part of it
	h.Write([]byte(name))
	h.Write(b)
	return h.Sum(nil)
}

// Verify opens what Sign sealed. It is false for anything else.
func (s Sealer) Verify(name string, b []byte) (value []byte, expiry time.Time, ok bool) {
	if len(b) < 1+expiryBytes+sha256.Size || b[0] != versionSigned {
		return nil, time.Time{}, false
	}
	body, mac := b[:len(b)-sha256.Size], b[len(b)-sha256.Size:]
	if !hmac.Equal(mac, s.mac(name, body)) {
		return nil, time.Time{}, false
	}
	return body[1+expiryBytes:], readExpiry(body[1:]), true
}

// Encrypt seals a value that must not be read either.
func (s Sealer) Encrypt(name string, value []byte, expiry time.Time) string {
	b := make([]byte, 1+s.aead.NonceSize(), 1+s.aead.NonceSize()+expiryBytes+len(value)+s.aead.Overhead())
	b[0] = versionEncrypted
	_, _ = rand.Read(b[1:]) // it never fails: the program ends instead
	plain := append(appendExpiry(nil, expiry), value...)
	nonce := b[1:]
	return sealedText.EncodeToString(s.aead.Seal(b, nonce, plain, append([]byte{versionEncrypted}, name...))) // #nosec G407 -- the nonce is random
}

// Decrypt opens what Encrypt sealed. It is false for anything else.
func (s Sealer) Decrypt(name string, b []byte) (value []byte, expiry time.Time, ok bool) {
	if len(b) < 1+s.aead.NonceSize() || b[0] != versionEncrypted {
		return nil, time.Time{}, false
	}
	nonce, sealed := b[1:1+s.aead.NonceSize()], b[1+s.aead.NonceSize():]
	plain, err := s.aead.Open(nil, nonce, sealed, append([]byte{versionEncrypted}, name...))
	if err != nil || len(plain) < expiryBytes {
		return nil, time.Time{}, false
	}
	return plain[expiryBytes:], readExpiry(plain), true
}

func appendExpiry(b []byte, expiry time.Time) []byte {
	if expiry.IsZero() {
		return binary.BigEndian.AppendUint64(b, 0)
	}
	roundedUp := expiry.Add(time.Second - 1).Unix()            // never early
	return binary.BigEndian.AppendUint64(b, uint64(roundedUp)) // #nosec G115 -- after 1970
}

func readExpiry(b []byte) time.Time {
	seconds := binary.BigEndian.Uint64(b)
	if seconds == 0 {
		return time.Time{}
	}
	return time.Unix(int64(seconds), 0) // #nosec G115 -- it was authenticated, so it came from appendExpiry
}

// Decode returns what a cookie holds that was sealed. It is false for anything else.
func Decode(raw string) (sealed []byte, ok bool) {
	if strings.ContainsAny(raw, "\r\n") { // which base64 would pass over
		return nil, false
	}
	sealed, err := sealedText.DecodeString(raw)
	return sealed, err == nil
}
