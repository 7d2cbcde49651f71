package store_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// narrowing lists, by file and statement, what a migration does beside adding,
// and why the version before goes on all the same.
var narrowing = map[string]string{}

// Migrations only add, so that the version before serves beside the new one and
// can be gone back to. Whatever is not known to add is refused.
func TestMigrationsOnlyAdd(t *testing.T) {
	for _, dir := range []string{"migrations", "migrations_postgres"} {
		files, err := filepath.Glob(filepath.Join(dir, "*.sql"))
		if err != nil || len(files) == 0 {
			t.Fatal(files, err)
		}
		for _, file := range files {
			body, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, fault := range narrows(filepath.ToSlash(file), string(body)) {
				t.Error(fault)
			}
		}
	}
}

// What the rule above refuses, and what it lets through.
func TestMigrationRuleBites(t *testing.T) {
	const declared = "\nINSERT INTO schema_needs (version, needs) VALUES (12, 9);"
	for up, says := range map[string]string{
		"CREATE TABLE x (a TEXT NOT NULL);" + declared:                                           "",
		"CREATE TABLE x (a TEXT NOT NULL);\nCREATE UNIQUE INDEX y ON x (a);" + declared:          "",
		"ALTER TABLE work ADD COLUMN a TEXT;" + declared:                                         "",
		"ALTER TABLE work ADD COLUMN a BIGINT NOT NULL DEFAULT 0;" + declared:                    "",
		"-- DROP nothing\nCREATE INDEX y ON work (a);" + declared:                                "",
		"CREATE INDEX y ON work (a);":                                                            "schema_needs",
		"INSERT INTO schema_needs (version, needs) VALUES (11, 9);":                              "schema_needs",
		"INSERT INTO schema_needs (version, needs) VALUES (12, 13);":                             "schema_needs",
		"DROP TABLE work;" + declared:                                                            "only add",
		"ALTER TABLE work ADD COLUMN a BIGINT NOT NULL;" + declared:                              "only add",
		"ALTER TABLE work ADD COLUMN a BIGINT UNIQUE;" + declared:                                "only add",
		"ALTER TABLE work ADD COLUMN a TEXT, DROP COLUMN b;" + declared:                          "only add",
		"ALTER TABLE work RENAME COLUMN a TO b;" + declared:                                      "only add",
		"ALTER TABLE work ALTER COLUMN a SET NOT NULL;" + declared:                               "only add",
		"CREATE UNIQUE INDEX y ON work (a);" + declared:                                          "only add",
		"UPDATE work SET leased = 0;" + declared:                                                 "only add",
		"CREATE TRIGGER z BEFORE INSERT ON work BEGIN SELECT RAISE(FAIL, 'no'); END;" + declared: "only add",
	} {
		faults := narrows("migrations/00012_x.sql", "-- +goose Up\n"+up+"\n-- +goose Down\nDROP TABLE x;\n")
		if got := strings.Join(faults, "\n"); (got == "") != (says == "") || !strings.Contains(got, says) {
			t.Errorf("%s\ngot  %q\nwant %q", up, got, says)
		}
	}
}

var (
	comments  = regexp.MustCompile(`--[^\n]*`)
	newTable  = regexp.MustCompile(`(?i)^CREATE TABLE (\w+) \(`)
	newIndex  = regexp.MustCompile(`(?i)^CREATE INDEX \w+ ON `)
	newUnique = regexp.MustCompile(`(?i)^CREATE UNIQUE INDEX \w+ ON (\w+) `)
	newColumn = regexp.MustCompile(`(?i)^ALTER TABLE \w+ ADD COLUMN [^,]*$`)
	needs     = regexp.MustCompile(`(?i)^INSERT INTO schema_needs \(version, needs\) VALUES \((\d+), (\d+)\)$`)
	harder    = regexp.MustCompile(`(?i)\b(UNIQUE|CHECK|REFERENCES|PRIMARY)\b`)
)

// narrows says what in a migration's way up the version before may not survive.
func narrows(file, body string) (faults []string) {
	_, up, _ := strings.Cut(body, "-- +goose Up")
	up, _, _ = strings.Cut(up, "-- +goose Down")
	number, _ := strconv.Atoi(filepath.Base(file)[:5])
	declared, made := number < 9, map[string]bool{}
	for one := range strings.SplitSeq(comments.ReplaceAllString(up, ""), ";") {
		one = strings.Join(strings.Fields(one), " ")
		if m := newTable.FindStringSubmatch(one); m != nil {
			made[m[1]] = true
			continue
		}
		if m := needs.FindStringSubmatch(one); m != nil {
			least, _ := strconv.Atoi(m[2])
			declared = m[1] == strconv.Itoa(number) && least <= number
			continue
		}
		if one != "" && !adds(one, made) && narrowing[file+": "+one] == "" {
			faults = append(faults, fmt.Sprintf("%s: %s\n\tmigrations only add: the version before writes to this table too; do it in two releases, or list it with the reason", file, one))
		}
	}
	if !declared {
		faults = append(faults, fmt.Sprintf("%s: it has to say who can go on after it: INSERT INTO schema_needs (version, needs) VALUES (%d, …)", file, number))
	}
	return faults
}

// adds says whether a statement leaves all that there was as it was. made are
// the tables that the same migration made.
func adds(one string, made map[string]bool) bool {
	if m := newUnique.FindStringSubmatch(one); m != nil {
		return made[m[1]]
	}
	if newColumn.MatchString(one) {
		upper := strings.ToUpper(one)
		return !harder.MatchString(one) && (!strings.Contains(upper, "NOT NULL") || strings.Contains(upper, " DEFAULT "))
	}
	return newIndex.MatchString(one)
}
