package testserver

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Nginx starts nginx as a proxy that ends TLS in front of a server, and returns its
// address. settings are what stands in its location, such as the headers that it sets.
// Its certificate is that of httptest. It ends with the test.
func Nginx(tb testing.TB, server, settings string) (address string) {
	tb.Helper()
	path, err := find("nginx", "/usr/sbin")
	if err != nil {
		Skip(tb, err)
	}
	p, address, err := nginx(path, server, settings)
	if err != nil {
		tb.Fatal(err)
	}
	s, err := p.launch()
	if s != nil {
		tb.Cleanup(s.stop)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return address
}

func nginx(path, server, settings string) (p program, address string, err error) {
	dir, err := os.MkdirTemp("", "test-nginx-")
	if err != nil {
		return program{}, "", err
	}
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return program{}, "", err
	}
	address = l.Addr().String()
	if err := l.Close(); err != nil { // nginx takes the port
		return program{}, "", err
	}
	tls := httptest.NewTLSServer(nil)
	tls.Close()
	certificate := tls.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(certificate.PrivateKey)
	if err != nil {
		return program{}, "", err
	}
	var temporary strings.Builder
	for _, what := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		fmt.Fprintf(&temporary, "%s_temp_path %s;\n", what, filepath.Join(dir, what))
	}
	for name, text := range map[string]string{
		"certificate.pem": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Certificate[0]})),
		"key.pem":         string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})),
		"nginx.conf": fmt.Sprintf(`daemon off;
worker_processes 1;
pid %[1]s/nginx.pid;
error_log stderr notice;
events {}
http {
	access_log off;
	%[2]s
	server {
		listen %[3]s ssl;
		ssl_certificate %[1]s/certificate.pem;
		ssl_certificate_key %[1]s/key.pem;
		location / {
			proxy_pass http://%[4]s;
			%[5]s
		}
	}
}
`, dir, temporary.String(), address, server, settings),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return program{}, "", err
		}
	}
	if err := give(dir); err != nil {
		return program{}, "", err
	}
	for _, name := range []string{"certificate.pem", "key.pem", "nginx.conf"} {
		if err := give(filepath.Join(dir, name)); err != nil {
			return program{}, "", err
		}
	}
	return program{
		directory: dir, path: path, args: []string{"-p", dir, "-e", "stderr", "-c", filepath.Join(dir, "nginx.conf")},
		ready: "start worker process", quit: syscall.SIGQUIT,
	}, address, nil
}
