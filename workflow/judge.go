package workflow

import "context"

// Breaches is what [Policies] may do besides: ask outside this process whether
// a password is known from leaks. Check never does, so that it can be asked on
// every key that is pressed: the prefixes of each text on the way to a password
// would tell an observer more than one prefix does.
type Breaches interface {
	// Leaked reports whether p asks for that question and the answer is yes.
	// An error means that nobody knows and p says that this is not good enough.
	Leaked(ctx context.Context, p PasswordPolicy, password string) (bool, error)
}

// Remembering is a directory that keeps the hashes of former passwords.
type Remembering interface {
	// Used reports whether password is one of the account's last n, the present
	// one included. It costs up to n hashes in the bounded pool. ErrBusy.
	Used(ctx context.Context, application, accountID, password string, n int) (bool, error)
}

// MaxHistory is how many passwords a policy can ask to remember: each is a hash
// to verify.
const MaxHistory = 24

// Judge returns what is wrong with a new password, by everything that policy
// asks. Cheap rules come first, and only a password that passes them is asked
// about elsewhere and compared with former ones: a refused one costs little.
// memory is the directory of the account; accountID is "" for a new one.
//
// It is the one judge of passwords that are set, in every flow and for
// administrators. The error is [ErrBusy], or tells what cannot be known now.
func Judge(ctx context.Context, policies Policies, memory any, application string, policy PasswordPolicy, accountID, password string, words []string) ([]Violation, error) {
	if bad := policies.Check(policy, password, words); len(bad) > 0 {
		return bad, nil
	}
	if b, ok := policies.(Breaches); ok {
		switch leaked, err := b.Leaked(ctx, policy, password); {
		case err != nil:
			return nil, err
		case leaked:
			return []Violation{{Code: VioBreached}}, nil
		}
	}
	if m, ok := memory.(Remembering); ok && policy.History > 0 && accountID != "" {
		switch used, err := m.Used(ctx, application, accountID, password, policy.History); {
		case err != nil:
			return nil, err
		case used:
			return []Violation{{Code: VioRecentlyUsed, Attributes: map[string]string{"history": itoa(policy.History)}}}, nil
		}
	}
	return nil, nil
}
