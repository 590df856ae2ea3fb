package storage

import (
	"strings"
)

// statement is SQL in the making. Only names and marks go into its text;
// every value is bound.
type statement struct {
	strings.Builder
	args  []any
	casts bool // PostgreSQL needs a type for each value in a VALUES list
}

func (s *Store) statement() *statement { return &statement{casts: s.postgres()} }

func (st *statement) write(parts ...string) {
	for _, p := range parts {
		st.WriteString(p)
	}
}

// values writes the rows of a VALUES list, with a last column ordinal where one is asked for.
func (st *statement) values(columns []column, rows [][]any) {
	st.write("VALUES ")
	for i, row := range rows {
		if i > 0 {
			st.write(", ")
		}
		for j, c := range columns {
			if j == 0 {
				st.write("(")
			} else {
				st.write(", ")
			}
			st.write("?")
			// The first row gives the columns of the list their types.
			if st.casts {
				st.write("::", c.kind)
			}
		}
		st.write(")")
		st.args = append(st.args, row...)
	}
}

// insert writes an INSERT of rows that is done where the condition when holds
// ("" for always).
func (st *statement) insert(table string, columns []column, rows [][]any, when string) {
	st.write("INSERT INTO ", table, " (", columnList(columns, ""), ") ")
	if when == "" {
		st.values(columns, rows)
		return
	}
	st.write("SELECT ", columnList(columns, "v."), " FROM (")
	st.values(columns, rows)
	st.write(") AS v (", columnList(columns, ""), ") WHERE ", when)
}

// columnList writes the names of columns, each after prefix.
func columnList(columns []column, prefix string) string {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = prefix + c.name
	}
	return strings.Join(names, ", ")
}

// marks writes n placeholders.
func marks(n int) string { return strings.TrimSuffix(strings.Repeat("?, ", n), ", ") }
