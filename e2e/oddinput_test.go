package e2e

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"sort"
	"strings"
)

// odd are values as they stand in JSON, put where a text belongs.
var odd = map[string]string{
	"NUL": `"\u0000"`, "NUL inside": `"a\u0000@example.com"`, "lone surrogate": `"\ud800"`, "reversed surrogates": `"\udc00\ud800"`, "invalid UTF-8": "\"\xff\xfe\"", "raw NUL": "\"\x00\"",
	"raw line end": "\"a\nb\"", "line ends": `"a\r\nBcc: x@y.test\r\n\r\n"`, "bidi": `"\u202eada@example.com"`, "long": `"` + strings.Repeat("x", 8000) + `"`, "long accents": `"` + strings.Repeat(`\u0301`, 2000) + `"`,
	"number": `1`, "huge number": `1e999999`, "long number": strings.Repeat("9", 5000), "minus zero": `-0`, "list": `["x"]`, "object": `{"x":1}`, "true": `true`, "null": `null`, "empty": `""`, "blank": `" "`,
	"SQL": `"'; DROP TABLE users; --"`, "percent": `"%s%n%00%2e"`, "template": `"{{.}}${7*7}"`, "path": `"../../../etc/passwd"`, "time": `"9999-99-99T99:99:99Z"`, "id": `"` + nobody + `"`, "emoji": `"👩‍👩‍👧‍👦@example.com"`,
	"replacement": `"\ufffd\uffff"`, "address literal": `"a@[127.0.0.1]"`, "idn": `"a@xn--\u0000.test"`, "punycode": `"a@xn--999999999.test"`, "long domain": `"a@` + strings.Repeat("a.", 120) + `test"`,
}

// bodies are odd bodies for a route: of odd form as a whole, and right but for one field.
func bodies(rt target) map[string][]byte {
	var zip bytes.Buffer
	w := gzip.NewWriter(&zip)
	_, _ = w.Write([]byte(rt.valid()))
	_ = w.Close()
	out := map[string][]byte{
		"nothing": {}, "not JSON": []byte("hello"), "open": []byte(`{"email":`), "null": []byte("null"), "list": []byte("[]"), "text": []byte(`"x"`), "number": []byte("1"), "empty object": []byte("{}"),
		"two": []byte(rt.valid() + rt.valid()), "a megabyte of blanks": bytes.Repeat([]byte(" "), 1<<20), "a megabyte of text": []byte(`{"email":"` + strings.Repeat("a", 1<<20) + `"}`),
		"deep lists": []byte(`{"email":` + strings.Repeat("[", 7000) + strings.Repeat("]", 7000) + `}`), "deep objects": []byte(strings.Repeat(`{"a":`, 3000)), "gzip": zip.Bytes(),
		"UTF-16": []byte("\xff\xfe{\x00}\x00"), "byte order mark": append([]byte("\xef\xbb\xbf"), rt.valid()...), "NUL bytes": bytes.Repeat([]byte{0}, 1000), "odd form": []byte("%zz=1&a;b&=&email=%00%ff&email=2"),
		"many fields": []byte("{" + strings.TrimSuffix(strings.Repeat(`"a":1,`, 2000), ",") + "}"), "odd field": []byte(`{"\u0000":1,"__proto__":{"x":1},"":2}`),
	}
	if rt.form {
		for name := range rt.body {
			for what, value := range map[string]string{"NUL": "%00", "invalid UTF-8": "%ff%fe", "surrogate": "%ed%a0%80", "long": strings.Repeat("x", 8000), "line end": "a%0d%0ab", "bad escape": "%zz"} {
				out["form "+name+" "+what] = []byte(name + "=" + value)
			}
		}
		return out
	}
	names := make([]string, 0, len(rt.body))
	for name := range rt.body {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		for what, value := range odd {
			var b strings.Builder
			for i, n := range names {
				raw, _ := json.Marshal(rt.body[n])
				if n == name {
					raw = []byte(value)
				}
				fmt.Fprintf(&b, "%s%q:%s", map[bool]string{true: "{", false: ","}[i == 0], n, raw)
			}
			out[name+" "+what] = []byte(b.String() + "}")
		}
	}
	return out
}

// heads are odd heads of requests without a body.
func heads(bearer string) map[string]string {
	auth := "Authorization: Bearer " + bearer + "\r\n"
	out := map[string]string{"no credential": "", "two credentials": auth + auth, "key twice": "X-Api-Key: " + bearer + "\r\nX-Api-Key: x\r\n", "both": auth + "X-Api-Key: " + bearer + "\r\n",
		"key as key": "X-Api-Key: " + bearer + "\r\n", "two types": auth + "Content-Type: application/json\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}",
		"two lengths": auth + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", "negative length": auth + "Content-Length: -1\r\n", "length and chunks": auth + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
		"bad chunk": auth + "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "gzip said": auth + "Content-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
		"two hosts": auth + "Host: y\r\n", "odd host": "Host: \x01\r\n", "many headers": auth + strings.Repeat("X-A: b\r\n", 3000), "folded": auth + "X-A: b\r\n c\r\n", "blank name": auth + "X A: b\r\n", "no colon": auth + "XA\r\n",
		"upgrade": auth + "Connection: Upgrade\r\nUpgrade: websocket\r\n", "expect": auth + "Expect: something\r\n"}
	for _, name := range []string{"Accept", "Accept-Language", "Cookie", "Origin", "Referer", "X-Forwarded-For", "X-Forwarded-Host", "X-Request-Id", "X-Resetflow-Client-IP", "X-Resetflow-User-Agent", "User-Agent", "Content-Type", "If-None-Match", "Range"} {
		for what, value := range map[string]string{"odd bytes": "\xff\xfe", "long": strings.Repeat("a,;=\"", 1500), "empty": "", "punctuation": "=;,,\"';q=%00/..;*"} {
			out[name+" "+what] = auth + name + ": " + value + "\r\n"
		}
	}
	out["NUL in a header"] = auth + "User-Agent: a\x00b\r\n"
	for _, cookie := range []string{"rf_acme=", "rf_acme=%00", "rf_acme=AAAA; rf_acme=BBBB", "rf_acme=" + strings.Repeat("A", 4000)} {
		out["cookie "+cookie[:min(len(cookie), 12)]] = "Cookie: " + cookie + "\r\n"
	}
	return out
}

// paths are odd forms of a path.
func paths(path string) []string {
	out := []string{path + "/", "/" + path, path + "%00", path + "/%2e%2e/%2e%2e", path + ";x=1", strings.ToUpper(path), strings.Replace(path, "/", "/./", 1), path + "?%zz", path + "?a;b", path + "#x", "*", "http://y.test" + path}
	for _, q := range []string{"email=%00", "email=%ff", "email=" + strings.Repeat("a", 3000), "state=%00", "flow='", "cursor=%00", "cursor=AAAA", "cursor=" + strings.Repeat("z", 3000), "limit=-1", "limit=1e9", "limit=99999999999999999999",
		"limit=1&limit=2", "email_auth_code=%00", "email_auth_code=" + strings.Repeat("A", 5000), "password_reset_code=%ff", "request=%00", "lang=%00", "locale=" + strings.Repeat("x-", 500), "redirectUrl=javascript:1"} {
		out = append(out, path+"?"+q)
	}
	for _, odd := range []string{"%00", "%ff", "..", "%2f", "'", strings.Repeat("a", 3000), "ACME", "-", "%F0%9F%92%A9"} {
		out = append(out, strings.Replace(path, "acme", odd, 1), strings.Replace(path, nobody, odd, 1))
	}
	return out
}
