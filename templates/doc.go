// Package templates writes the mails and holds every text of the hosted pages.
//
// One locale is one file in locales/: all mail texts and all page texts of one
// language. [New] reads them all and fails on a missing key, an unknown key, an
// unknown {placeholder} or a placeholder left out, so that a hole in a
// translation stops the start and never reaches a person.
//
// A mail is not a template of its own: Go builds it from typed parts (sentence,
// button, code, facts), and one layout writes these parts as HTML and as plain
// text. A locale holds sentences only, so nothing in it can leave out a part,
// leak a value or run code. Values are data everywhere: they pass through
// html/template in the HTML part, and through [Clean] in both.
package templates
