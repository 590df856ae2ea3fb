package templates

import (
	"bytes"
	_ "embed"
	"html/template"
	"strings"
	"unicode/utf8"
)

//go:embed layout.html
var layoutSource string

// layout is the one frame of every mail.
var layout = template.Must(template.New("layout").Option("missingkey=error").Parse(layoutSource))

// document is a mail as parts, before it becomes HTML or text.
type document struct {
	Locale, Dir  string
	Subject      string
	Title        string
	Preheader    string // what a list of messages shows beside the subject; never a code
	App          string
	Parts        []part
	AddressBelow string
	Footer       string
	Palette      Palette
}

// part is one piece of a mail; the first field that is set says which.
type part struct {
	Text   string   // a paragraph
	Code   string   // digits
	Groups []string // the digits as shown
	Button *action
	Aside  *action // a link that is not the point of the mail
	Rule   bool    // a line above what follows
}

// action is something to click.
type action struct {
	Lead     string // the sentence before, in the text part
	ShowLead bool   // and in the HTML part
	Label    string
	URL      string
}

// say adds a paragraph of the sentences that are not empty.
func (d *document) say(sentences ...string) {
	var full []string
	for _, s := range sentences {
		if s != "" {
			full = append(full, s)
		}
	}
	d.Parts = append(d.Parts, part{Text: strings.Join(full, " ")})
}

func (d *document) code(digits string) {
	half := len(digits) / 2
	d.Parts = append(d.Parts, part{Code: digits, Groups: []string{digits[:half], digits[half:]}})
}

func (d *document) button(lead string, show bool, label, url string) {
	if lead == "" {
		lead = label + ":"
	}
	d.Parts = append(d.Parts, part{Button: &action{lead, show, label, url}})
}

func (d *document) aside(label, url string) {
	d.Parts = append(d.Parts, part{Aside: &action{Label: label, URL: url}})
}

func (d *document) rule() { d.Parts = append(d.Parts, part{Rule: true}) }

// html writes the HTML part.
func (d *document) html() (string, error) {
	var b bytes.Buffer
	err := layout.Execute(&b, struct {
		*document
		C      map[string]template.CSS
		Filler []struct{}
	}{d, d.Palette.css(), make([]struct{}, 60)})
	return b.String(), err
}

// css marks the colours as safe for style attributes; they come from rgb.String.
func (p Palette) css() map[string]template.CSS {
	return map[string]template.CSS{
		"button": template.CSS(p.Button), "text": template.CSS(p.ButtonText), "edge": template.CSS(p.ButtonEdge), "link": template.CSS(p.Link),
		"darkButton": template.CSS(p.DarkButton), "darkText": template.CSS(p.DarkButtonText), "darkEdge": template.CSS(p.DarkButtonEdge), "darkLink": template.CSS(p.DarkLink),
	}
}

// columns is the width of the text part, so that it survives being quoted.
const columns = 76

// text writes the plain part. A link or a code stands alone on its line; the
// not-me link stands behind its label, so that it is never taken for the other.
func (d *document) text() string {
	var b strings.Builder
	for _, p := range d.Parts {
		switch {
		case p.Text != "":
			wrap(&b, p.Text)
		case p.Code != "":
			b.WriteString(p.Code + "\n")
		case p.Button != nil:
			wrap(&b, p.Button.Lead)
			b.WriteString("\n" + p.Button.URL + "\n")
		case p.Aside != nil:
			b.WriteString(p.Aside.Label + ": " + p.Aside.URL + "\n")
		case p.Rule:
			continue
		}
		b.WriteByte('\n')
	}
	b.WriteString("-- \n")
	wrap(&b, d.Footer)
	return b.String()
}

// wrap writes a paragraph in lines of at most columns characters, as far as its
// words allow. Text without blanks (Japanese, Chinese) stays one line; the
// transfer encoding folds it.
func wrap(b *strings.Builder, text string) {
	width := 0
	for word := range strings.SplitSeq(text, " ") {
		if word == "" {
			continue
		}
		word = strings.ReplaceAll(word, "\u00a0", " ") // it has kept its words together
		n := utf8.RuneCountInString(word)
		switch {
		case width == 0:
		case width+1+n > columns:
			b.WriteByte('\n')
			width = 0
		default:
			b.WriteByte(' ')
			width++
		}
		b.WriteString(word)
		width += n
	}
	b.WriteByte('\n')
}
