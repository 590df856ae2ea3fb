package main

import (
	"fmt"
	"strings"

	"github.com/alecthomas/kong"
)

type completionCommand struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// Help says how to switch completion on.
func (completionCommand) Help() string {
	return `bash: resetflow completion bash > /etc/bash_completion.d/resetflow
zsh:  resetflow completion zsh > "${fpath[1]}/_resetflow"
fish: resetflow completion fish > ~/.config/fish/completions/resetflow.fish`
}

// Run prints the script. It is made from the commands themselves, so it cannot
// offer what is not there.
func (c completionCommand) Run(w *world, k *kong.Kong) error {
	words := completions(k.Model.Node, "")
	var script string
	switch c.Shell {
	case "bash":
		script = bashScript(words)
	case "zsh":
		script = "#compdef resetflow\nautoload -U +X bashcompinit && bashcompinit\n" + bashScript(words)
	default:
		script = fishScript(words)
	}
	_, err := fmt.Fprint(w.stdout, script)
	return err
}

// place is what may follow a path of subcommands.
type place struct {
	path  string // "keys create"
	words []string
}

func completions(n *kong.Node, path string) []place {
	here := place{path: path}
	var out []place
	for _, child := range n.Children {
		if child.Hidden {
			continue
		}
		here.words = append(here.words, child.Name)
		out = append(out, completions(child, strings.TrimSpace(path+" "+child.Name))...)
	}
	for _, a := range n.Positional {
		for _, v := range a.EnumSlice() {
			if v != "" {
				here.words = append(here.words, v)
			}
		}
	}
	for _, f := range n.Flags {
		if !f.Hidden {
			here.words = append(here.words, "--"+f.Name)
		}
	}
	if path != "" {
		here.words = append(here.words, "--help")
	}
	return append([]place{here}, out...)
}

func bashScript(places []place) string {
	var b strings.Builder
	b.WriteString(`_resetflow() {
	local cur="${COMP_WORDS[COMP_CWORD]}" path="" i
	for ((i = 1; i < COMP_CWORD; i++)); do
		case "${COMP_WORDS[i]}" in
			-*) ;;
			*) path="${path:+$path }${COMP_WORDS[i]}" ;;
		esac
	done
	local words=""
	case "$path" in
`)
	for i := len(places) - 1; i >= 0; i-- { // the longest path first
		p := places[i]
		pattern := `""`
		if p.path != "" {
			pattern = fmt.Sprintf("%q*", p.path)
		}
		fmt.Fprintf(&b, "\t\t%s) words=%q ;;\n", pattern, strings.Join(p.words, " "))
	}
	b.WriteString(`	esac
	COMPREPLY=($(compgen -W "$words" -- "$cur"))
	[ ${#COMPREPLY[@]} -gt 0 ] || COMPREPLY=($(compgen -f -- "$cur"))
}
complete -o filenames -F _resetflow resetflow
`)
	return b.String()
}

func fishScript(places []place) string {
	var b strings.Builder
	for _, p := range places {
		condition := "__fish_use_subcommand"
		if p.path != "" {
			var parts []string
			for _, word := range strings.Fields(p.path) {
				parts = append(parts, "__fish_seen_subcommand_from "+word)
			}
			condition = strings.Join(parts, "; and ")
		}
		for _, word := range p.words {
			if flag, ok := strings.CutPrefix(word, "--"); ok {
				fmt.Fprintf(&b, "complete -c resetflow -n %q -l %s\n", condition, flag)
			} else {
				fmt.Fprintf(&b, "complete -c resetflow -f -n %q -a %s\n", condition, word)
			}
		}
	}
	return b.String()
}
