// Package storage keeps requests, messages, limits, applications and API keys
// in SQLite and PostgreSQL, by the same code and under one suite (storagetest).
//
// The rules that hold everywhere:
//
//   - What stands or falls together is written by [Store.Commit]. On PostgreSQL
//     it is one statement; on SQLite a few, in one transaction.
//   - A row is saved by id and version, and the number of rows is checked.
//     Saving never touches the attempts: those move by [Store.ReserveAttempt]
//     and [Store.ReturnAttempt] alone, so that a counter cannot be rolled back.
//   - Every condition is an equality with a bound value. No text from outside
//     becomes part of a statement, and none is used as a pattern.
//   - Every statement names the application, save those of the sweeper.
//   - Times are microseconds since the epoch in UTC; 0 is the zero time. They
//     are compared as numbers, so no time zone can bend a lifetime.
package storage
