package workflow

import (
	"errors"
	"sort"
	"time"
)

// Class is what kind of failure an error is; transports map it to a status.
type Class string

// The classes of errors.
const (
	ClassInvalid         Class = "invalid"
	ClassUnauthenticated Class = "unauthenticated"
	ClassForbidden       Class = "forbidden"
	ClassNotFound        Class = "not_found"
	ClassMethod          Class = "method_not_allowed"
	ClassConflict        Class = "conflict"
	ClassTooLarge        Class = "too_large"
	ClassUnsupported     Class = "unsupported_media_type"
	ClassLimited         Class = "limited"
	ClassOverloaded      Class = "overloaded"
	ClassInternal        Class = "internal"
)

// ErrorCode names an error as a whole.
type ErrorCode string

// The error codes. Their class and sentence stand in errorTable.
const (
	CodeViolations            ErrorCode = "message_body_constraint_violations"
	CodeInvalidJSON           ErrorCode = "invalid_json"
	CodeBodyTooLarge          ErrorCode = "body_too_large"
	CodeUnsupportedMediaType  ErrorCode = "unsupported_media_type"
	CodeMultipleCredentials   ErrorCode = "multiple_credentials"
	CodeInvalidClientIP       ErrorCode = "invalid_client_ip"
	CodeUnauthenticated       ErrorCode = "unauthenticated"
	CodeInvalidGrant          ErrorCode = "invalid_grant"
	CodeInvalidCredentials    ErrorCode = "invalid_credentials"
	CodeForbidden             ErrorCode = "permission_missing"
	CodeOriginNotAllowed      ErrorCode = "origin_not_allowed"
	CodePasswordResetRequired ErrorCode = "password_reset_required"
	CodeNotFound              ErrorCode = "not_found"
	CodeUserNotFound          ErrorCode = "user_not_found"
	CodeMethodNotAllowed      ErrorCode = "method_not_allowed"
	CodeNotUnique             ErrorCode = "not_unique"
	CodeNotCancellable        ErrorCode = "not_cancellable"
	CodeNotRetryable          ErrorCode = "not_retryable"
	CodeCooldown              ErrorCode = "cooldown_active"
	CodeRateLimited           ErrorCode = "rate_limited"
	CodeOverloaded            ErrorCode = "overloaded"
	CodeInternal              ErrorCode = "internal"
)

// ErrorRow is one row of the error table.
type ErrorRow struct {
	Code     ErrorCode
	Class    Class
	Sentence string // public, says what to do next
}

var errorTable = []ErrorRow{
	{CodeViolations, ClassInvalid, "Some fields are not right. Look at violations, mend them and send again."},
	{CodeInvalidJSON, ClassInvalid, "The body is not one JSON object with the documented fields. Mend it and send again."},
	{CodeBodyTooLarge, ClassTooLarge, "The body is larger than 16 KiB. Send less."},
	{CodeUnsupportedMediaType, ClassUnsupported, "Send the body as application/json, without content encoding."},
	{CodeMultipleCredentials, ClassInvalid, "Send exactly one credential: either Authorization or X-Api-Key, once."},
	{CodeInvalidClientIP, ClassInvalid, "X-Resetflow-Client-IP must hold one IP address."},
	{CodeUnauthenticated, ClassUnauthenticated, "Send a valid API key in Authorization: Bearer or X-Api-Key."},
	{CodeInvalidGrant, ClassUnauthenticated, "This token is not valid any more. Log in again."},
	{CodeInvalidCredentials, ClassUnauthenticated, "The address or the password is wrong."},
	{CodeForbidden, ClassForbidden, "This credential does not hold the permission for this call. Use one that does."},
	{CodeOriginNotAllowed, ClassForbidden, "This origin is not on the key's list. Add it to the key's allowed origins."},
	{CodePasswordResetRequired, ClassForbidden, "The password must be reset before logging in. Start a password reset."},
	{CodeNotFound, ClassNotFound, "There is nothing at this address for this credential."},
	{CodeUserNotFound, ClassNotFound, "There is no such user in this application."},
	{CodeMethodNotAllowed, ClassMethod, "This address does not take this method. Look at Allow."},
	{CodeNotUnique, ClassConflict, "Something with this name exists already. Choose another or change the existing one."},
	{CodeNotCancellable, ClassConflict, "This request is finished and cannot be cancelled."},
	{CodeNotRetryable, ClassConflict, "This message is delivered, or its code is dead. Start a new request instead."},
	{CodeCooldown, ClassLimited, "A message was asked for a moment ago. Wait as long as Retry-After says."},
	{CodeRateLimited, ClassLimited, "Too many calls. Wait as long as Retry-After says."},
	{CodeOverloaded, ClassOverloaded, "The service is busy. Try again after the time in Retry-After."},
	{CodeInternal, ClassInternal, "Something went wrong on our side and nothing was changed. Try again; if it stays, name the ticket to support."},
}

// ErrorTable returns the error table; docs/errors.md is generated from it.
func ErrorTable() []ErrorRow { return append([]ErrorRow(nil), errorTable...) }

// ViolationCode says what is wrong with one field.
type ViolationCode string

// The violation codes. Their sentence stands in violationTable.
const (
	VioRequired                ViolationCode = "required"
	VioMustBeNull              ViolationCode = "must_be_null"
	VioUnknownField            ViolationCode = "unknown_field"
	VioDuplicateField          ViolationCode = "duplicate_field"
	VioInvalidType             ViolationCode = "invalid_type"
	VioInvalidValue            ViolationCode = "invalid_value"
	VioTooShort                ViolationCode = "too_short"
	VioTooLong                 ViolationCode = "too_long"
	VioTooSmall                ViolationCode = "too_small"
	VioTooLarge                ViolationCode = "too_large"
	VioInvalidEmail            ViolationCode = "invalid_email"
	VioInvalidLocale           ViolationCode = "invalid_locale"
	VioNotEnabled              ViolationCode = "not_enabled"
	VioNotAllowed              ViolationCode = "not_allowed"
	VioNotAvailable            ViolationCode = "not_available"
	VioNotUnique               ViolationCode = "not_unique"
	VioInvalidEmailAuthCode    ViolationCode = "invalid_email_auth_code"
	VioInvalidRequestCode      ViolationCode = "invalid_request_code"
	VioInvalidVerificationCode ViolationCode = "invalid_verification_code"
	VioInvalidResetCode        ViolationCode = "invalid_password_reset_code"
	VioInvalidAuthSessionCode  ViolationCode = "invalid_auth_session_code"
	VioBreached                ViolationCode = "breached"
	VioTooCommon               ViolationCode = "too_common"
	VioTooWeak                 ViolationCode = "too_weak"
	VioContainsIdentifier      ViolationCode = "contains_identifier"
	VioRecentlyUsed            ViolationCode = "recently_used"
	VioTooRepetitive           ViolationCode = "too_repetitive"
	VioInvalidCharacter        ViolationCode = "invalid_character"
	VioMissingUppercase        ViolationCode = "missing_uppercase"
	VioMissingLowercase        ViolationCode = "missing_lowercase"
	VioMissingDigit            ViolationCode = "missing_digit"
	VioMissingSymbol           ViolationCode = "missing_symbol"
)

// ViolationRow is one row of the violation table.
type ViolationRow struct {
	Code     ViolationCode
	Sentence string
}

var violationTable = []ViolationRow{
	{VioRequired, "This field is required."},
	{VioMustBeNull, "Give exactly one way of proof; leave this field out."},
	{VioUnknownField, "This field does not exist. Field names are exact."},
	{VioDuplicateField, "This field stands twice."},
	{VioInvalidType, "This value has the wrong type."},
	{VioInvalidValue, "This value is not allowed here."},
	{VioTooShort, "This value is too short."},
	{VioTooLong, "This value is too long."},
	{VioTooSmall, "This value is too small."},
	{VioTooLarge, "This value is too large."},
	{VioInvalidEmail, "This is not an e-mail address we can write to."},
	{VioInvalidLocale, "This is not a language tag such as en or pt-BR."},
	{VioNotEnabled, "The application has not switched this flow on."},
	{VioNotAllowed, "The application does not allow this value."},
	{VioNotAvailable, "This setting is not available in this version."},
	{VioNotUnique, "Something with this value exists already."},
	{VioInvalidEmailAuthCode, "This code is not valid. Ask for a new one."},
	{VioInvalidRequestCode, "This request is not valid any more. Ask for a new one."},
	{VioInvalidVerificationCode, "This code is not right."},
	{VioInvalidResetCode, "This code is not valid. Ask for a new one."},
	{VioInvalidAuthSessionCode, "This code is not valid any more. Log in with the new password."},
	{VioBreached, "This password is known from data leaks. Choose another."},
	{VioTooCommon, "This password is among the most used ones. Choose another."},
	{VioTooWeak, "This password is easy to guess. Add words or characters."},
	{VioContainsIdentifier, "This password holds your name, address or the product's name."},
	{VioRecentlyUsed, "This password was used before. Choose another."},
	{VioTooRepetitive, "This password holds the same character too often in a row."},
	{VioInvalidCharacter, "This password holds a character that cannot be used."},
	{VioMissingUppercase, "This password needs an upper-case letter."},
	{VioMissingLowercase, "This password needs a lower-case letter."},
	{VioMissingDigit, "This password needs a digit."},
	{VioMissingSymbol, "This password needs a symbol."},
}

// ViolationTable returns the violation table; docs/errors.md is generated from it.
func ViolationTable() []ViolationRow { return append([]ViolationRow(nil), violationTable...) }

// Violation is one thing wrong with one field. Attributes are texts, and never
// the value that was sent.
type Violation struct {
	Code       ViolationCode     `json:"code"`
	Attributes map[string]string `json:"constraintAttributes,omitempty"`
}

// Violations maps a field's path to what is wrong with it.
type Violations map[string][]Violation

// Add appends a violation; attrs are name, value pairs.
func (v Violations) Add(field string, code ViolationCode, attrs ...string) {
	x := Violation{Code: code}
	for i := 0; i+1 < len(attrs); i += 2 {
		if x.Attributes == nil {
			x.Attributes = map[string]string{}
		}
		x.Attributes[attrs[i]] = attrs[i+1]
	}
	v[field] = append(v[field], x)
}

// Err returns nil without violations, else an [Error] that carries them.
func (v Violations) Err() error {
	if len(v) == 0 {
		return nil
	}
	return &Error{Code: CodeViolations, Violations: v}
}

// Fields returns the field names in order.
func (v Violations) Fields() []string {
	names := make([]string, 0, len(v))
	for name := range v {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// Error is a refusal in public words. Cause is for the log alone.
type Error struct {
	Code       ErrorCode
	Violations Violations
	RetryAfter time.Duration // for limited and overloaded
	Limit      *LimitState   // what a 429 tells in its RateLimit headers
	Cause      error
}

// LimitState describes the quota that refused, for RateLimit headers.
type LimitState struct {
	Name string
	Rate Rate
}

func (e *Error) Error() string {
	s := "resetflow: " + string(e.Code)
	for _, f := range e.Violations.Fields() {
		s += " " + f + "=" + string(e.Violations[f][0].Code)
	}
	if e.Cause != nil {
		s += ": " + e.Cause.Error()
	}
	return s
}

func (e *Error) Unwrap() error { return e.Cause }

// Row returns the table's row of e's code; an unknown code is internal.
func (e *Error) Row() ErrorRow {
	for _, r := range errorTable {
		if r.Code == e.Code {
			return r
		}
	}
	return ErrorRow{CodeInternal, ClassInternal, "Something went wrong on our side."}
}

// Fail makes an [Error] with a code and its cause (nil for none).
func Fail(code ErrorCode, cause error) *Error { return &Error{Code: code, Cause: cause} }

// Violate makes an [Error] with a single violation.
func Violate(field string, code ViolationCode, attrs ...string) *Error {
	v := Violations{}
	v.Add(field, code, attrs...)
	return &Error{Code: CodeViolations, Violations: v}
}

// AsError returns err as an [Error]; what is none becomes CodeOverloaded where
// there was no capacity, else CodeInternal, with err as cause.
func AsError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	if errors.Is(err, ErrBusy) {
		return &Error{Code: CodeOverloaded, RetryAfter: time.Second, Cause: err}
	}
	return Fail(CodeInternal, err)
}

// What ports report. They never reach the public.
var (
	ErrNotFound   = errors.New("workflow: no such row")
	ErrStale      = errors.New("workflow: the row was saved by somebody else meanwhile")
	ErrLive       = errors.New("workflow: the account has a live request already")
	ErrNotUnique  = errors.New("workflow: not unique")
	ErrGeneration = errors.New("workflow: the account's generation moved")
	ErrRefused    = errors.New("workflow: the directory refused for good")
	ErrBusy       = errors.New("workflow: no capacity now") // hashing pool or database pool full
)
