// Package e2e tests the real binary from outside: exchange scripts over HTTP
// and SMTP, and the hosted pages in a real Chromium. It knows the public
// contract and nothing of the inside.
package e2e
