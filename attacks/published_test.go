package attacks

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/resetflow/resetflow/internal/testkit/product"
)

// published are the numbers of the corpus by group.
var published = map[string]string{
	"ADR": "01 02 04 05 07 08 10 11 13 14 16 17 19 20 22 23 25 26",
	"URL": "01 02 04 05 07 08 10 11 13 14 16",
	"GEN": "01 02 04 05 07 08 10 11",
	"LIF": "01 02 04 05 07 08 10 11 13 14 16 17 19",
	"BND": "01 02 04 05 07 08 10 11 13 14 16 17 19 20",
	"PAR": "01 02 04 05 07 08 10 11 13 14 16 17 19 20 22 23 25 26",
	"RAC": "01 02 04 05 07 08 10 11 13 14 16 17 19",
	"OTP": "01 02 04 05 07 08 10 11 13 14 16 17 19 20 22 23 25 26",
	"ENU": "01 02 04 05 07 08 10 11 13 14 16 17 19 20",
	"PWD": "01 02 04 05 07 08 10 11 13 14 16 17 19 20",
	"SES": "01 02 04 05 07 08 10 11 13 14 16 17 19 20",
	"ACC": "01 02 04 05 07 08 10 11 13 14",
	"SMT": "01 02 04 05 07 08 10 11 13 14 16 17 19 20 22",
	"TPL": "01 02 04 05 07 08 10 11 13 14 16",
	"WEB": "01 02 04 05 07 08 10 11 13 14 16 17",
	"LEK": "01 02 04 05 07 08 10 11 13 14 16",
	"ADM": "01 02 04 05 07 08 10 11 13 14 16 17 19 20 22 23 25 26 28 29 31 32",
	"WHK": "01 02 04 05 07 08 10 11 13 14 16",
	"DOS": "01 02 04 05 07 08 10 11 13 14",
	"OPS": "01 02 04 05 07 08 10 11",
}

// Every published row is tried by a test of its id, or stands in
// docs/security-attacks.md with the reason why it cannot apply, and not both.
func TestEveryRowIsTriedOrExcused(t *testing.T) {
	tried, excused := map[string]bool{}, map[string]bool{}
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	declared := regexp.MustCompile(`\b(?:row|rowOnce|rigRow)\(t, "([A-Z]{3}-x?\d+)"`)
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range declared.FindAllStringSubmatch(string(text), -1) {
			tried[m[1]] = true
		}
	}
	page, err := os.ReadFile(filepath.Join(product.Root(), "docs", "security-attacks.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^\| ([A-Z]{3}-\d+) \| (.*?) \|$`).FindAllStringSubmatch(string(page), -1) {
		if excused[m[1]] = true; strings.TrimSpace(m[2]) == "" {
			t.Errorf("%s is excused without a reason", m[1])
		}
	}
	for group, numbers := range published {
		for number := range strings.FieldsSeq(numbers) {
			id := group + "-" + number
			switch {
			case !tried[id] && !excused[id]:
				t.Errorf("%s is neither tried nor excused", id)
			case tried[id] && excused[id]:
				t.Errorf("%s is tried and excused", id)
			}
		}
	}
}
