package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
)

// Posts a body twice with the default client of the standard library.
func main() {
	for count := 0; count < 2; count++ {
		response, err := http.Post(os.Args[1], "application/json", strings.NewReader(os.Args[2]))
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		body, _ := io.ReadAll(response.Body)
		response.Body.Close()
		fmt.Println(response.StatusCode, string(body))
	}
}
