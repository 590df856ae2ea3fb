// Package password judges new passwords and turns them into hashes.
//
// The rules:
//
//   - One normal form (RFC 8265 OpaqueString) is made before judging, hashing
//     and verifying alike, so that a password typed on another keyboard, in
//     another composition, is the same password. Nothing is ever trimmed.
//   - Lengths are bounded before any work: 16 KiB, and 1024 bytes for a policy of
//     at most as many characters.
//   - Hashing is the most expensive thing a stranger can ask for. It runs in
//     one [Pool], bounded in concurrency and memory, with a short queue; what
//     does not fit is refused at once.
//   - A wrong password takes the same work for every hash and for none, also
//     where hashes were imported; see [Pool.Verify] for the bound.
//   - A password stands in no error, violation or log line.
package password
