package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"time"
)

// certificateLifetime is how long the certificate of -tls is valid.
const certificateLifetime = 90 * 24 * time.Hour

// readCertificate reads a certificate for this machine, and its key, from a file. A file
// that is not there is made.
func readCertificate(name string) (tls.Certificate, error) {
	text, err := os.ReadFile(name) // #nosec G304 -- it is named by whoever starts the program
	if errors.Is(err, fs.ErrNotExist) {
		text, err = newCertificate(name)
	}
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("-certificate: %w", err)
	}
	certificate, err := tls.X509KeyPair(text, text)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("-certificate: %s: %w", name, err)
	}
	if time.Now().After(certificate.Leaf.NotAfter) {
		return tls.Certificate{}, fmt.Errorf("-certificate: %s has expired; delete it, and a new one is made", name)
	}
	return certificate, nil
}

// newCertificate makes a file with a certificate that no authority has signed.
func newCertificate(name string) ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	template := x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), NotBefore: now.Add(-time.Hour), NotAfter: now.Add(certificateLifetime),
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	certificate, err := x509.CreateCertificate(rand.Reader, &template, &template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})
	text = append(text, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})...)
	return text, writeNew(name, text)
}

// fingerprint is what Chromium takes for --ignore-certificate-errors-spki-list: with it
// the browser trusts the certificate, as it must before it binds a session.
func fingerprint(certificate tls.Certificate) string {
	sum := sha256.Sum256(certificate.Leaf.RawSubjectPublicKeyInfo)
	return base64.StdEncoding.EncodeToString(sum[:])
}
