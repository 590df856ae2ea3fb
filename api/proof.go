package api

import (
	"github.com/resetflow/resetflow/internal/strictjson"
	"github.com/resetflow/resetflow/workflow"
)

type text = strictjson.Optional[string]

// proofBody holds the four code fields, of which exactly one way is given:
// emailAuthCode, requestCode with verificationCode, or passwordResetCode.
type proofBody struct {
	emailAuthCode, requestCode, verificationCode, passwordResetCode text
}

func proofFields(in *proofBody) []strictjson.Field {
	return []strictjson.Field{
		strictjson.String("emailAuthCode", &in.emailAuthCode),
		strictjson.String("requestCode", &in.requestCode),
		strictjson.String("verificationCode", &in.verificationCode),
		strictjson.String("passwordResetCode", &in.passwordResetCode),
	}
}

// maxCode is longer than any code; what is longer is no code and not decoded.
const maxCode = 512

type codeField struct {
	name  string
	value text
	wrong workflow.ViolationCode
}

func (in *proofBody) codes() []codeField {
	return []codeField{
		{"emailAuthCode", in.emailAuthCode, workflow.VioInvalidEmailAuthCode},
		{"requestCode", in.requestCode, workflow.VioInvalidRequestCode},
		{"verificationCode", in.verificationCode, workflow.VioInvalidVerificationCode},
		{"passwordResetCode", in.passwordResetCode, workflow.VioInvalidResetCode},
	}
}

// proof judges which way was given. more reports that there was more than one:
// then v names every code field given, and nothing else may be said.
func (in *proofBody) proof(v workflow.Violations) (p workflow.Proof, more bool) {
	pair := in.requestCode.Given || in.verificationCode.Given
	ways := 0
	for _, given := range []bool{in.emailAuthCode.Given, pair, in.passwordResetCode.Given} {
		if given {
			ways++
		}
	}
	for _, f := range in.codes() {
		half := f.name == "requestCode" || f.name == "verificationCode"
		switch {
		case ways > 1:
			if f.value.Given {
				v.Add(f.name, workflow.VioMustBeNull)
			}
		case !f.value.Given:
			if ways == 0 || pair && half {
				v.Add(f.name, workflow.VioRequired)
			}
		default:
			checkCode(v, f)
		}
	}
	return workflow.Proof{
		EmailAuthCode: in.emailAuthCode.Value, RequestCode: in.requestCode.Value,
		VerificationCode: in.verificationCode.Value, PasswordResetCode: in.passwordResetCode.Value,
	}, ways > 1
}

// checkCode judges one code that must be there: not empty, not absurdly long.
func checkCode(v workflow.Violations, f codeField) {
	switch {
	case !f.value.Given:
		v.Add(f.name, workflow.VioRequired)
	case f.value.Value == "":
		v.Add(f.name, workflow.VioTooShort, "minLength", "1")
	case len(f.value.Value) > maxCode:
		v.Add(f.name, f.wrong)
	}
}
