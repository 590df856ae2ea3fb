// Package arch holds the tests that keep the shape of the project: who may
// import whom, how long a file may be, that every package says what it is.
package arch
