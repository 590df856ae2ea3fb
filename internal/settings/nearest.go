package settings

// Nearest returns the known key with the smallest edit distance to key; of
// equals the first, and "" without known keys.
func Nearest(key string, known []string) string {
	if len(key) > 64 { // no known key is near; the distance costs the product of the lengths
		key = key[:64]
	}
	best, least := "", 1<<30
	for _, k := range known {
		if d := distance(key, k); d < least {
			best, least = k, d
		}
	}
	return best
}

// distance is Levenshtein's, over bytes.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := diagonal
			if a[i-1] != b[j-1] {
				cost++
			}
			diagonal = row[j]
			row[j] = min(cost, row[j]+1, row[j-1]+1)
		}
	}
	return row[len(b)]
}
