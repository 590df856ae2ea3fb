// Package tree holds the tests that read the project's files as a stranger
// gets them: no path of somebody's machine, no link that leads nowhere.
package tree
