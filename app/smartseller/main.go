// Command smartseller is the whole platform in one program.
package main

import (
	_ "time/tzdata" // a bare machine has no time zones

	"smartseller/app"
)

func main() { app.Exit() }
