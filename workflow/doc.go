// Package workflow is the domain: what a password reset is and how it moves.
//
// It imports the standard library only. Everything it needs from outside stands
// in ports.go as an interface of at most seven methods; the adapters (storage,
// directory, notify, api, web) implement or call these and never know each other.
//
// The rules that hold everywhere:
//
//   - Only [Engine.move] sets a state. It looks the move up in the one
//     transition table, so an illegal move is an error and never a write.
//   - A request step looks nobody up. A job resolves the account later; an
//     address without an account becomes a decoy that behaves like any other row.
//   - An attempt is reserved, committed, and only then compared.
//   - A code exists in clear in the mail only; the rows hold ids and counters,
//     from which the code is derived under a key that is not in the database.
//   - One commit holds everything a reset changes. If it fails, nothing happened.
package workflow
