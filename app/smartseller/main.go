// Command smartseller is the whole platform in one program.
package main

import "smartseller/app"

func main() { app.Exit() }
