// Package failpoint lets tests arrange the worst moment: a program that is built with
// the tag `failpoints` ends, or stops, where a file names the point that it reaches.
// Built without the tag, which is how it ships, a point is nothing.
package failpoint

// Variable names the environment variable with the path of a file. When that holds the
// name of a point, such as "K12", the process kills itself by SIGKILL at the next
// arrival there; "stop K12" stops it by SIGSTOP, until somebody continues it. Whoever
// arrives removes the file, so that it happens once.
const Variable = "FAILPOINT"
