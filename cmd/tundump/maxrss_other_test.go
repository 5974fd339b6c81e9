//go:build !unix

package main

import "os"

// maxRSS is 0: this system does not say.
func maxRSS(*os.ProcessState) int64 { return 0 }
