package strictjson

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/resetflow/resetflow/workflow"
)

type body struct {
	email, code Optional[string]
	skip        Optional[bool]
	orgs        Optional[[]string]
}

func decode(data string) (body, error) {
	var b body
	err := Decode([]byte(data), String("email", &b.email), String("code", &b.code), Boolean("skip", &b.skip), Strings("orgs", &b.orgs))
	return b, err
}

// TestRefused holds what a lenient reader would mend (security.md PAR-*, ADR-*).
func TestRefused(t *testing.T) {
	const notJSON = "invalid_json"
	for name, tc := range map[string]struct{ body, want string }{
		"empty":                 {``, notJSON},
		"blank":                 {" \n", notJSON},
		"null":                  {`null`, notJSON},
		"array":                 {`[]`, notJSON},
		"text":                  {`"x"`, notJSON},
		"open":                  {`{`, notJSON},
		"no value":              {`{"email"}`, notJSON},
		"trailing comma":        {`{"email":"a",}`, notJSON},
		"leading comma":         {`{,"email":"a"}`, notJSON},
		"single quotes":         {`{'email':'a'}`, notJSON},
		"comment":               {`{"email":"a"/**/}`, notJSON},
		"byte order mark":       {"\ufeff" + `{}`, notJSON},
		"second document":       {`{"code":"A"}{"code":"B"}`, notJSON},
		"trailing word":         {`{"code":"A"} x`, notJSON},
		"bad byte":              {"{\"email\":\"\xff\"}", notJSON},
		"bad byte in name":      {"{\"\xff\":\"\"}", notJSON},
		"lone high surrogate":   {`{"email":"\ud800"}`, notJSON},
		"lone low surrogate":    {`{"email":"\udc00"}`, notJSON},
		"surrogates swapped":    {`{"email":"\udc00\ud800"}`, notJSON},
		"half and a letter":     {`{"email":"\ud800\u0041"}`, notJSON},
		"half at the end":       {`{"email":"\ud83d`, notJSON},
		"surrogate in a name":   {`{"\ud800":1}`, notJSON},
		"raw control":           {"{\"email\":\"a\nb\"}", notJSON},
		"bad escape":            {`{"email":"\x41"}`, notJSON},
		"short escape":          {`{"email":"\u00"}`, notJSON},
		"leading zero":          {`{"code":01}`, notJSON},
		"bare point":            {`{"code":1.}`, notJSON},
		"plus":                  {`{"code":+1}`, notJSON},
		"NaN":                   {`{"code":NaN}`, notJSON},
		"word cut short":        {`{"skip":tru}`, notJSON},
		"deep arrays":           {`{"x":` + strings.Repeat("[", 9000), notJSON},
		"deep closed arrays":    {`{"x":` + strings.Repeat("[", 50) + strings.Repeat("]", 50) + `}`, notJSON},
		"deep objects":          {strings.Repeat(`{"x":`, 50) + "1" + strings.Repeat("}", 50), notJSON},
		"many keys":             {`{` + strings.Repeat(`"k":1,`, MaxKeys) + `"l":1}`, notJSON},
		"many values":           {`{"x":[` + strings.Repeat(`1,`, MaxValues) + `1]}`, notJSON},
		"unknown":               {`{"userId":"v"}`, "userId=unknown_field"},
		"other case":            {`{"Email":"a"}`, "Email=unknown_field"},
		"upper case":            {`{"EMAIL":"a"}`, "EMAIL=unknown_field"},
		"kelvin sign":           {`{"s\u212aip":true}`, "(unknown)=unknown_field"},
		"long s":                {`{"ſkip":true}`, "(unknown)=unknown_field"},
		"case beside right one": {`{"email":"a","Email":"b"}`, "Email=unknown_field"},
		"duplicate":             {`{"email":"v@x.org","email":"e@evil.org"}`, "email=duplicate_field"},
		"duplicate by escape":   {`{"email":"a","\u0065mail":"b"}`, "email=duplicate_field"},
		"duplicate null":        {`{"email":null,"email":"b"}`, "email=duplicate_field"},
		"nested duplicate":      {`{"x":{"a":1,"a":2}}`, "x=unknown_field x.a=duplicate_field"},
		"array for text":        {`{"email":["v@x.org","e@evil.org"]}`, "email=invalid_type"},
		"object for text":       {`{"code":{"$gt":""}}`, "code=invalid_type"},
		"number for text":       {`{"code":123456}`, "code=invalid_type"},
		"zero for text":         {`{"code":0}`, "code=invalid_type"},
		"exponent for text":     {`{"code":1.23456e5}`, "code=invalid_type"},
		"bool for text":         {`{"code":true}`, "code=invalid_type"},
		"text for bool":         {`{"skip":"true"}`, "skip=invalid_type"},
		"number for bool":       {`{"skip":1}`, "skip=invalid_type"},
		"text for list":         {`{"orgs":"a"}`, "orgs=invalid_type"},
		"list of numbers":       {`{"orgs":["a",1]}`, "orgs=invalid_type"},
		"list with null":        {`{"orgs":[null]}`, "orgs=invalid_type"},
		"everything at once":    {`{"email":1,"code":[],"x":1}`, "code=invalid_type email=invalid_type x=unknown_field"},
		"secret as a name":      {`{"correct horse battery":1}`, "(unknown)=unknown_field"},
		"long name":             {`{"` + strings.Repeat("n", 65) + `":1}`, "(unknown)=unknown_field"},
		"empty name":            {`{"":1}`, "(unknown)=unknown_field"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := decode(tc.body)
			if got := summary(err); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func summary(err error) string {
	var e *workflow.Error
	if !errors.As(err, &e) {
		return "no error"
	}
	if e.Code != workflow.CodeViolations {
		return string(e.Code)
	}
	var out []string
	for _, f := range e.Violations.Fields() {
		out = append(out, f+"="+string(e.Violations[f][0].Code))
	}
	return strings.Join(out, " ")
}

func TestTaken(t *testing.T) {
	got, err := decode(" {\t\"email\" : \"\\u00e9\\ud83d\\ude00\\n\\\"/\\/\", \"code\":null,\r\n\"skip\":true,\"orgs\":[\"a\",\"b\"]} ")
	if err != nil {
		t.Fatal(err)
	}
	want := body{email: Optional[string]{true, "é😀\n\"//"}, skip: Optional[bool]{true, true}, orgs: Optional[[]string]{true, []string{"a", "b"}}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	empty, err := decode(`{"email":""}`)
	if err != nil || !empty.email.Given || empty.code.Given {
		t.Errorf("an empty text is given and a missing one is not: %+v, %v", empty, err)
	}
	if got, err := decode(`{}`); err != nil || !reflect.DeepEqual(got, body{}) {
		t.Errorf("an empty object holds nothing: %+v, %v", got, err)
	}
	if empty.email.Pointer() == nil || empty.code.Pointer() != nil {
		t.Error("a pointer says whether a field was given")
	}
}

func TestParseNamesNestedDuplicates(t *testing.T) {
	if _, err := Parse([]byte(`{"limits":{"perIp":"1/s","perIp":"2/s"}}`)); summary(err) != "limits.perIp=duplicate_field" {
		t.Errorf("got %q", summary(err))
	}
	v, err := Parse([]byte(`{"a":[-0.5e+3,{}],"b":false}`))
	if err != nil || v.Members[0].Value.Items[0].Text != "-0.5e+3" || v.Members[1].Value.Kind != Bool {
		t.Errorf("got %+v, %v", v, err)
	}
}

// FuzzDecode checks that whatever is taken is JSON to the standard decoder too
// and means the same, and that no error repeats a value.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{`{}`, `{"email":"a@b.c"}`, `{"email":"\ud83d\ude00","skip":true}`, `{"orgs":["a",null]}`,
		`{"email":1e5}`, `[[[[`, `{"a":{"a":{"a":[]}}}`, "{\"email\":\"\xff\"}", `{"email":"a","email":"b"}`, `{"code":null} `} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := decode(string(data))
		if err != nil {
			if workflow.AsError(err).Code == workflow.CodeInternal {
				t.Fatalf("an error without a public code: %v", err)
			}
			return
		}
		var std struct {
			Email *string  `json:"email"`
			Code  *string  `json:"code"`
			Skip  *bool    `json:"skip"`
			Orgs  []string `json:"orgs"`
		}
		if err := json.Unmarshal(data, &std); err != nil {
			t.Fatalf("taken, but not JSON: %q: %v", data, err)
		}
		if !reflect.DeepEqual(std.Email, b.email.Pointer()) || !reflect.DeepEqual(std.Code, b.code.Pointer()) || !reflect.DeepEqual(std.Skip, b.skip.Pointer()) {
			t.Fatalf("two readers differ on %q", data)
		}
	})
}
