package dbsc

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// MaxProofBytes is the length of the longest proof that is read. One with an RSA key of
// 4096 bits has some 2,200.
const MaxProofBytes = 4096

// proofType is the typ of every proof.
const proofType = "dbsc+jwt"

// ErrProof is the error of a proof that is malformed, or is not signed by the key.
var ErrProof = errors.New("dbsc: the proof is not valid")

// A Proof is a JWT by which a browser shows that it has a key (RFC 7515, RFC 7519). It
// was read, and nothing of it is proved before [Proof.By] or [Proof.ByOwnKey].
type Proof struct {
	Challenge string // that was signed

	algorithm string
	key       Key // that it brings, if there is one
	audience  []string
	signed    string
	signature []byte
}

// ParseProof reads a proof. It accepts one spelling only: base64url without padding and
// stray bits, and JSON objects without repeated members and trailing data.
func ParseProof(jwt string) (Proof, error) {
	if len(jwt) > MaxProofBytes {
		return Proof{}, fmt.Errorf("%w: it is longer than %d bytes", ErrProof, MaxProofBytes)
	}
	head, rest, _ := strings.Cut(jwt, ".")
	body, sig, ok := strings.Cut(rest, ".")
	if !ok {
		return Proof{}, fmt.Errorf("%w: it does not have three parts", ErrProof)
	}
	header, err := object(head)
	if err != nil {
		return Proof{}, err
	}
	payload, err := object(body)
	if err != nil {
		return Proof{}, err
	}
	p := Proof{
		Challenge: text(payload["jti"]), algorithm: text(header["alg"]),
		signed: jwt[:len(head)+1+len(body)],
	}
	if p.signature, err = decode(sig); err != nil || len(p.signature) == 0 {
		return Proof{}, fmt.Errorf("%w: it is not signed", ErrProof)
	}
	_, critical := header["crit"] // RFC 7515 section 4.1.11: what is not understood is to be refused
	switch {
	case p.algorithm != ES256 && p.algorithm != RS256:
		return Proof{}, fmt.Errorf("%w: its alg is neither ES256 nor RS256", ErrProof)
	case text(header["typ"]) != proofType || critical:
		return Proof{}, fmt.Errorf("%w: its header is not that of a proof", ErrProof)
	case p.Challenge == "":
		return Proof{}, fmt.Errorf("%w: it has no jti", ErrProof)
	}
	if jwk, ok := header["jwk"]; ok {
		if p.key, err = keyOf(p.algorithm, jwk); err != nil {
			return Proof{}, fmt.Errorf("%w: %w", ErrProof, err)
		}
	}
	if aud, ok := payload["aud"]; ok {
		if p.audience, ok = audience(aud); !ok {
			return Proof{}, fmt.Errorf("%w: its aud is neither a text nor a list of them", ErrProof)
		}
	}
	return p, nil
}

// ByOwnKey returns the key that the proof brings, if that has signed it.
func (p Proof) ByOwnKey() (Key, error) {
	if p.key.public == nil {
		return Key{}, fmt.Errorf("%w: it brings no key", ErrProof)
	}
	return p.key, p.By(p.key)
}

// By returns nil if a key has signed the proof. What other key the proof brings does not
// matter.
func (p Proof) By(k Key) error {
	if k.alg == "" || k.alg != p.algorithm || !k.verify(p.signed, p.signature) {
		return fmt.Errorf("%w: it is not signed by the key", ErrProof)
	}
	return nil
}

// For reports whether the proof is for one of some URLs. One that does not say is for any.
func (p Proof) For(urls ...string) bool {
	return p.audience == nil || slices.ContainsFunc(p.audience, func(aud string) bool { return slices.Contains(urls, aud) })
}

// audience reads a claim that is a text or a list of texts (RFC 7519 section 4.1.3).
func audience(raw json.RawMessage) ([]string, bool) {
	var one string
	if json.Unmarshal(raw, &one) == nil {
		return []string{one}, !isNull(raw)
	}
	var list []string
	ok := json.Unmarshal(raw, &list) == nil && list != nil
	return list, ok
}

func isNull(raw json.RawMessage) bool { return string(bytes.TrimSpace(raw)) == "null" }

var strict = base64.RawURLEncoding.Strict()

// decode reads base64url, of which each text has one spelling.
func decode(s string) ([]byte, error) {
	if strings.ContainsAny(s, "\r\n") { // which encoding/base64 would pass over
		return nil, ErrProof
	}
	return strict.DecodeString(s)
}

// object reads a JSON object in base64url.
func object(part string) (map[string]json.RawMessage, error) {
	b, err := decode(part)
	if err != nil {
		return nil, fmt.Errorf("%w: it is not base64url", ErrProof)
	}
	return members(b)
}

// members returns the members of a JSON object by their exact names. A name that comes
// twice is an error: another reader may take the other one.
func members(b []byte) (map[string]json.RawMessage, error) {
	failed := fmt.Errorf("%w: it is not a JSON object with distinct members", ErrProof)
	d := json.NewDecoder(bytes.NewReader(b))
	if begin, err := d.Token(); err != nil || begin != json.Delim('{') {
		return nil, failed
	}
	m := make(map[string]json.RawMessage)
	for d.More() {
		name, err := d.Token()
		key, ok := name.(string)
		if err != nil || !ok {
			return nil, failed
		}
		var raw json.RawMessage
		if _, twice := m[key]; twice || d.Decode(&raw) != nil {
			return nil, failed
		}
		m[key] = raw
	}
	if _, err := d.Token(); err != nil {
		return nil, failed
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, failed
	}
	return m, nil
}
