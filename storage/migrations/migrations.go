// Package migrations holds the schema: one folder for each kind of database,
// with the same numbers in both. Package database applies them.
//
// Number 2 is taken: the job queue brings its own tables there, from Go.
//
// Ids are texts of 36 characters, times are microseconds since 1970 in UTC with
// 0 for "never", and the application leads every key, so that a PostgreSQL that
// shards by application can split every table.
package migrations

import "embed"

// Files holds postgres/NNNN_name.sql and sqlite/NNNN_name.sql.
//
//go:embed postgres/*.sql sqlite/*.sql
var Files embed.FS
