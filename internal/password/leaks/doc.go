// Package leaks tells whether a password is known from leaks, from a file or
// from a range service, by the SHA-1 of its normal form: that is how the public
// lists are made, and no use of SHA-1 for secrets.
//
// The file ([Filter]) is made by [Build] from a downloaded list. It holds
// shortened hashes, sorted and coded by their distances: about 22 bits each,
// with one wrong yes among a million passwords that are not on the list and
// never a wrong no. It is read in place, two small reads a look-up.
//
// The service ([Online]) is asked by k-anonymity: it gets the first five of
// forty hex digits, answers with every known rest, and the comparison is made
// here. The password and its hash never leave.
package leaks
