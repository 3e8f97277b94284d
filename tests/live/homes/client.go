// A client with Go's own TLS: client PORT CA. It verifies localhost's chain against the bundle CA, asks for / and prints what comes.
// Exit 0: it was served. client hold: waits.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"os"
	"time"
)

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main() {
	if len(os.Args) == 2 {
		time.Sleep(time.Hour)
	}
	pem, err := os.ReadFile(os.Args[2])
	must(err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	connection, err := tls.Dial("tcp", "127.0.0.1:"+os.Args[1], &tls.Config{RootCAs: roots, ServerName: "localhost"})
	must(err)
	_, err = connection.Write([]byte("GET / HTTP/1.0\r\n\r\n"))
	must(err)
	answer, err := io.ReadAll(connection)
	must(err)
	os.Stdout.Write(answer)
}
