package settings

import (
	"fmt"
	"strings"
	"testing"

	"github.com/resetflow/resetflow/workflow"
)

func TestRefusals(t *testing.T) {
	long := strings.Repeat("a", 24<<10)
	tests := []struct {
		body string // members besides application, or the whole object
		path string
		code workflow.ViolationCode
	}{
		{`{}`, "application", workflow.VioRequired},
		{`{"application":""}`, "application", workflow.VioRequired},
		{`{"application":"Acme"}`, "application", workflow.VioInvalidValue},
		{`{"application":"-acme"}`, "application", workflow.VioInvalidValue},
		{`{"application":"acme-"}`, "application", workflow.VioInvalidValue},
		{`{"application":"a.b"}`, "application", workflow.VioInvalidValue},
		{`{"application":"acme\n"}`, "application", workflow.VioInvalidValue},
		{`{"application":"` + strings.Repeat("a", 41) + `"}`, "application", workflow.VioInvalidValue},
		{`{"application":7}`, "application", workflow.VioInvalidType},
		{`{"application":"a","application":"b"}`, "application", workflow.VioDuplicateField},
		{`"nmae":"x"`, "nmae", workflow.VioUnknownField},
		{`"Name":"x"`, "Name", workflow.VioUnknownField},
		{`"limits":{"perIp":"1/h","perIp":"2/h"}`, "limits.perIp", workflow.VioDuplicateField},
		{`"limits":null`, "limits", workflow.VioInvalidType},
		{`"limits":[]`, "limits", workflow.VioInvalidType},
		{`"name":""`, "name", workflow.VioTooShort},
		{`"name":"  "`, "name", workflow.VioTooShort},
		{`"name":"a\nBcc: x@y.test"`, "name", workflow.VioInvalidValue},
		{`"name":"a\u202eb"`, "name", workflow.VioInvalidValue},
		{`"name":"` + strings.Repeat("é", 101) + `"`, "name", workflow.VioTooLong},
		{`"name":null`, "name", workflow.VioInvalidType},

		{`"flows":{"sms":{}}`, "flows.sms", workflow.VioUnknownField},
		{`"flows":{"email_link":true}`, "flows.email_link", workflow.VioInvalidType},
		{`"flows":{"email_link":null}`, "flows.email_link", workflow.VioInvalidType},
		{`"flows":{"email_link":{"enabled":"yes"}}`, "flows.email_link.enabled", workflow.VioInvalidType},
		{`"flows":{"email_link":{"lifetime":"24h0m1s"}}`, "flows.email_link.lifetime", workflow.VioTooLarge},
		{`"flows":{"email_link":{"lifetime":"0s"}}`, "flows.email_link.lifetime", workflow.VioTooSmall},
		{`"flows":{"email_link":{"lifetime":"-30m"}}`, "flows.email_link.lifetime", workflow.VioTooSmall},
		{`"flows":{"email_link":{"lifetime":"30"}}`, "flows.email_link.lifetime", workflow.VioInvalidValue},
		{`"flows":{"email_link":{"lifetime":1800}}`, "flows.email_link.lifetime", workflow.VioInvalidType},
		{`"flows":{"email_link":{"digits":6}}`, "flows.email_link.digits", workflow.VioUnknownField},
		{`"flows":{"email_otp":{"linkUrl":"https://a.test/{code}"}}`, "flows.email_otp.linkUrl", workflow.VioUnknownField},
		{`"flows":{"email_otp":{"digits":5}}`, "flows.email_otp.digits", workflow.VioTooSmall},
		{`"flows":{"email_otp":{"digits":9}}`, "flows.email_otp.digits", workflow.VioTooLarge},
		{`"flows":{"email_otp":{"digits":6.0}}`, "flows.email_otp.digits", workflow.VioInvalidType},
		{`"flows":{"email_otp":{"digits":"6"}}`, "flows.email_otp.digits", workflow.VioInvalidType},
		{`"flows":{"email_otp":{"digits":99999999999999999999}}`, "flows.email_otp.digits", workflow.VioTooLarge},
		{`"flows":{"email_otp":{"digits":-99999999999999999999}}`, "flows.email_otp.digits", workflow.VioTooSmall},
		{`"flows":{"email_otp":{"maxAttempts":0}}`, "flows.email_otp.maxAttempts", workflow.VioTooSmall},
		{`"flows":{"email_otp":{"maxAttempts":11}}`, "flows.email_otp.maxAttempts", workflow.VioTooLarge},
		{`"flows":{"email_otp":{"maxAttempts":-1}}`, "flows.email_otp.maxAttempts", workflow.VioTooSmall},
		{`"flows":{"email_otp":{"lifetime":"10m1s"}}`, "flows.email_otp.lifetime", workflow.VioTooLarge},
		{`"flows":{"email_otp":{"lifetime":"61m","digits":8}}`, "flows.email_otp.lifetime", workflow.VioTooLarge},
		{`"flows":{"direct_code":{"lifetime":"169h"}}`, "flows.direct_code.lifetime", workflow.VioTooLarge},

		{`"defaultFlow":"sms"`, "defaultFlow", workflow.VioInvalidValue},
		{`"defaultFlow":"direct_code"`, "defaultFlow", workflow.VioInvalidValue},
		{`"defaultFlow":""`, "defaultFlow", workflow.VioInvalidValue},
		{`"resendAfter":"0s"`, "resendAfter", workflow.VioTooSmall},
		{`"resendAfter":"61m"`, "resendAfter", workflow.VioTooLarge},
		{`"confirmation":{"enabled":1}`, "confirmation.enabled", workflow.VioInvalidType},
		{`"confirmation":{"allow_skip":true}`, "confirmation.allow_skip", workflow.VioUnknownField},
		{`"redirectUrls":"https://a.test"`, "redirectUrls", workflow.VioInvalidType},
		{`"redirectUrls":["https://a.test/",7]`, "redirectUrls.1", workflow.VioInvalidType},
		{`"redirectUrls":["https://a.test/","https://a.test/"]`, "redirectUrls.1", workflow.VioNotUnique},
		{`"hosts":["a.test","a.test"]`, "hosts.1", workflow.VioNotUnique},
		{`"locale":""`, "locale", workflow.VioInvalidLocale},
		{`"locale":"en_US"`, "locale", workflow.VioInvalidLocale},
		{`"locale":"e"`, "locale", workflow.VioInvalidLocale},
		{`"locale":"../../etc"`, "locale", workflow.VioInvalidLocale},
		{`"mail":{"cc":"a@b.test"}`, "mail.cc", workflow.VioUnknownField},
		{`"appearance":{"color":"red"}`, "appearance.color", workflow.VioInvalidValue},
		{`"appearance":{"color":"#12345"}`, "appearance.color", workflow.VioInvalidValue},
		{`"appearance":{"logo":"https://acme.test/logo.png"}`, "appearance.logo", workflow.VioInvalidValue},
		{`"appearance":{"logo":"data:image/gif;base64,R0lGODlh"}`, "appearance.logo", workflow.VioInvalidValue},
		{`"appearance":{"logo":"data:image/png;base64,!!!!"}`, "appearance.logo", workflow.VioInvalidValue},
		{`"appearance":{"logo":"data:image/png;base64,AAAA"}`, "appearance.logo", workflow.VioInvalidValue},
		{`"appearance":{"logo":"data:image/png;base64,` + long + `"}`, "appearance.logo", workflow.VioTooLong},
		{`"policy":{"minLength":7}`, "policy.minLength", workflow.VioTooSmall},
		{`"policy":{"minLength":20,"maxLength":16}`, "policy.minLength", workflow.VioTooLarge},
		{`"policy":{"maxLength":1025}`, "policy.maxLength", workflow.VioTooLarge},
		{`"policy":{"requireClasses":["emoji"]}`, "policy.requireClasses.0", workflow.VioInvalidValue},
		{`"policy":{"requireClasses":["upper","upper"]}`, "policy.requireClasses.1", workflow.VioNotUnique},
		{`"policy":{"minStrength":5}`, "policy.minStrength", workflow.VioTooLarge},
		{`"policy":{"minStrength":-1}`, "policy.minStrength", workflow.VioTooSmall},
		{`"policy":{"breached":"online","breachedFail":"maybe"}`, "policy.breachedFail", workflow.VioInvalidValue},
		{`"policy":{"maxRepeat":-1}`, "policy.maxRepeat", workflow.VioTooSmall},
		{`"policy":{"maxRepeat":101}`, "policy.maxRepeat", workflow.VioTooLarge},
		{`"policy":{"breached":"on"}`, "policy.breached", workflow.VioInvalidValue},
		{`"policy":{"breached":false}`, "policy.breached", workflow.VioInvalidType},
		{`"policy":{"history":25}`, "policy.history", workflow.VioTooLarge},
		{`"policy":{"history":-1}`, "policy.history", workflow.VioTooSmall},
		{`"policy":{"preset":"nist"}`, "policy.preset", workflow.VioInvalidValue},
		{`"policy":{"preset":"NIST-800-63B-4"}`, "policy.preset", workflow.VioInvalidValue},
		{`"policy":{"preset":"btcdirect","minLength":65}`, "policy.minLength", workflow.VioTooLarge},
		{`"policy":{"preset":"btcdirect","symbols":"!"}`, "policy.symbols", workflow.VioUnknownField},
		{`"limits":{"perIp":"0/h"}`, "limits.perIp", workflow.VioInvalidValue},
		{`"limits":{"perIp":"-5/h"}`, "limits.perIp", workflow.VioInvalidValue},
		{`"limits":{"perIp":"5/w"}`, "limits.perIp", workflow.VioInvalidValue},
		{`"limits":{"perIp":5}`, "limits.perIp", workflow.VioInvalidType},
		{`"sessions":{"access":"0s"}`, "sessions.access", workflow.VioTooSmall},
		{`"sessions":{"access":"25h"}`, "sessions.access", workflow.VioTooLarge},
		{`"sessions":{"refresh":"-1h"}`, "sessions.refresh", workflow.VioTooSmall},
		{`"sessions":{"idle":"1000000h"}`, "sessions.idle", workflow.VioTooLarge},
		{`"directory":{"kind":"sql"}`, "directory.kind", workflow.VioNotAvailable},
		{`"directory":{"kind":"ldap"}`, "directory.kind", workflow.VioInvalidValue},
		{`"directory":{"kind":"builtin","dsn":"x"}`, "directory.dsn", workflow.VioUnknownField},
		{`"dialects":["unleash"]`, "dialects", workflow.VioNotAvailable},
		{`"dialect":{"confirmationWait":"31s"}`, "dialect.confirmationWait", workflow.VioTooLarge},
		{`"dialect":{"confirmationWait":"-1s"}`, "dialect.confirmationWait", workflow.VioTooSmall},
		{`"dialect":{"origins":["https://a.test/path"]}`, "dialect.origins.0", workflow.VioInvalidValue},
		{`"dialect":{"unleash":{"unknownEmail":"leak"}}`, "dialect.unleash.unknownEmail", workflow.VioInvalidValue},
		{`"dialect":{"unleash":{"usedToken":"x"}}`, "dialect.unleash.usedToken", workflow.VioInvalidValue},
		{`"notifyUnknown":"true"`, "notifyUnknown", workflow.VioInvalidType},
		{`"webhooks":[{"url":"https://a.test","events":[]}]`, "webhooks", workflow.VioNotAvailable},
		{`"webhooks":{}`, "webhooks", workflow.VioInvalidType},
		{`"jwt":{}`, "jwt", workflow.VioUnknownField},
	}
	for _, tt := range tests {
		body := tt.body
		if body[0] != '{' {
			body = `{"application":"acme",` + body + `}`
		}
		v := violations(t, second(Decode([]byte(body), policies)))
		if len(v) != 1 || len(v[tt.path]) != 1 || v[tt.path][0].Code != tt.code {
			t.Errorf("%.90s: %v, want %s: %s", body, v, tt.path, tt.code)
		}
	}
}

func TestForms(t *testing.T) {
	tests := []struct {
		member string // with %s for the value
		path   string
		good   []string
		bad    []string
	}{
		{`"redirectUrls":["%s"]`, "redirectUrls.0",
			[]string{"https://app.acme.test", "https://app.acme.test:8443/a?b=c", "http://127.0.0.1:3000/", "http://app.localhost/"},
			[]string{"", "/login", "//evil.test", "https:evil.test", "https:///x", "http://app.acme.test/", "ftp://a.test/", "javascript:alert(1)",
				"https://good@evil.test/", "https://a.test/#x", "https://a.test/#", "https://a.test/ x", `https://a.test/\\x`, "https://a.test:/",
				"https://a.test:99999/", "https://a.test:0/", "https://täst.test/", "https://a..test/", "https://1.2.3/", "https://a_b.test/", "HTTPS://a.test/",
				"https://a.test/" + strings.Repeat("x", 2048)}},
		{`"hosts":["%s"]`, "hosts.0",
			[]string{"reset.acme.test", "xn--tst-qla.test", "localhost", "127.0.0.1:8080"},
			[]string{"", "Acme.test", "acme", "acme.test:443", "https://acme.test", "acme.test/", "*.acme.test", "acme.test.", "10.0.0.1", "a@b.test", "täst.test",
				"localhost:", "localhost:08", "LOCALHOST", strings.Repeat("a", 64) + ".test"}},
		{`"flows":{"email_link":{"linkUrl":"%s"}}`, "flows.email_link.linkUrl",
			[]string{"https://app.acme.test/reset?code={code}", "https://app.acme.test/{code}", "https://app.acme.test/#/r/{code}", "http://localhost:1/?c={code}", ""},
			[]string{"https://app.acme.test/reset", "https://a.test/{code}/{code}", "https://{code}.a.test/", "https://{code}/", "http://a.test/{code}", "https://u@a.test/{code}",
				"https://a.test/{code}{x}", "https://a.test/{Code}", "{code}", "https://a.test:{code}/"}},
		{`"mail":{"from":"%s"}`, "mail.from",
			[]string{"", "no-reply@acme.test", "Acme <no-reply@acme.test>", `\"Acme, Inc.\" <no-reply@acme.test>`, "Grüße <no-reply@acme.test>"},
			[]string{"Acme", "<>", "a@b", "a@b.test, c@d.test", "Acme <a@b.test>, x", `Acme <a@b.test>\r\nBcc: x@y.test`, `A\nB <a@b.test>`, "g: a@b.test;",
				"a@[127.0.0.1]", "a@b.test (comment)", `A\u202e <a@b.test>`, `\"a b\"@c.test`}},
		{`"locale":"%s"`, "locale", []string{"en", "pt-BR", "zh-Hans", "xx", "qaa"}, []string{"english-language-of-the-whole-world-x", "-", "en-", "en-*"}},
	}
	for _, tt := range tests {
		decode := func(value string) error {
			return second(Decode([]byte(`{"application":"acme",`+fmt.Sprintf(tt.member, value)+`}`), policies))
		}
		for _, value := range tt.good {
			if err := decode(value); err != nil {
				t.Errorf("%s: %q refused: %v", tt.path, value, err)
			}
		}
		for _, value := range tt.bad {
			if v := violations(t, decode(value)); len(v) != 1 || v[tt.path] == nil {
				t.Errorf("%s: %q: %v", tt.path, value, v)
			}
		}
	}
}

// A refusal never repeats what was sent: it may be a secret in the wrong place.
func TestRefusalsHoldNoValue(t *testing.T) {
	const value = "hunter2"
	for _, body := range []string{`{"application":"ACME` + value + `","locale":"` + value + `_","mail":{"from":"` + value + `"},"resendAfter":"` + value + `"}`,
		`{"application":"acme","` + value + ` with blanks":1}`} {
		if err := second(Decode([]byte(body), policies)); strings.Contains(fmt.Sprintf("%v %+v", err, workflow.AsError(err).Violations), value) {
			t.Errorf("the value stands in %v", err)
		}
	}
}
