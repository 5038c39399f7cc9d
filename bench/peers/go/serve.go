// SPDX-License-Identifier: MIT

package main

import (
	"fmt"
	"net"
	"net/http"
	"time"
)

func echo(c net.Conn) {
	defer c.Close()
	buffer := make([]byte, 1024)
	for {
		n, err := c.Read(buffer)
		if err != nil {
			return
		}
		if buffer[0] == 'H' { // a message that asks for computing; see load.c
			for start := time.Now(); time.Since(start) < 50*time.Millisecond; {
			}
		}
		if _, err = c.Write(buffer[:n]); err != nil {
			return
		}
	}
}

func hello(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain")
	w.Write([]byte("Hello, World!\n"))
}

// A goroutine a connection; net/http for HTTP, as any Go program would.
func serve(name string, port int) {
	l, err := net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		panic(err)
	}
	fmt.Printf("listening on tcp://%s\n", l.Addr())
	if name == "http" {
		panic(http.Serve(l, http.HandlerFunc(hello)))
	}
	for {
		if c, err := l.Accept(); err == nil {
			go echo(c)
		}
	}
}
