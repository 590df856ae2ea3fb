// Package secret keeps the installation's `secret_keys` and makes from them
// everything that must not be guessed.
//
// The rules:
//
//   - A key never leaves the package. What others get is derived for a named
//     purpose, so that a code, a token and a hash never share a key.
//   - Parts are length-prefixed before they are hashed: ("ab","c") and
//     ("a","bc") give different secrets.
//   - The first key makes; every configured key still verifies and opens. What
//     was made with a key that is not configured any more is dead.
//   - Nothing here writes a key, or part of one, into an error.
package secret
