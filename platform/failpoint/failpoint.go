// Package failpoint lets tests arrange the worst moment: a program that is built with
// the tag `failpoints` ends, or stops, where the environment names a point that it
// reaches. Built without the tag, which is how it ships, a point is nothing.
package failpoint

// Variable names the environment variable with the point at which the process kills
// itself by SIGKILL, such as "K12"; "stop:K12" stops it by SIGSTOP instead, until
// somebody continues it. Either happens once, at the first arrival.
const Variable = "FAILPOINT"
