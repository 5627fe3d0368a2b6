package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

type completionCommand struct {
	Shell string `arg:"" help:"bash, zsh or fish." enum:"bash,zsh,fish"`
}

// Help explains how the script is put in place.
func (completionCommand) Help() string {
	return `For this session: source <(onhand completion bash). For every one, write the script where the shell looks for it:

    onhand completion bash > /etc/bash_completion.d/onhand

    onhand completion zsh > "${fpath[1]}/_onhand"

    onhand completion fish > ~/.config/fish/completions/onhand.fish`
}

// Each script asks the program itself what may come next (completeCommand), so it need not be made anew when the program
// is. What the program says nothing about is completed as a file name. The libraries for this had their last release
// years ago and bring a package for guessing the shell; what they do for us is this.
var completionScripts = map[string]string{
	"bash": `# bash completion for onhand
_onhand() {
    local line
    COMPREPLY=()
    while IFS= read -r line; do
        COMPREPLY+=("${line%%$'\t'*}")
    done < <("${COMP_WORDS[0]}" complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -o default -F _onhand onhand
`,
	"zsh": `#compdef onhand
# zsh completion for onhand
_onhand() {
    local line
    local -a found
    for line in "${(@f)$("${words[1]}" complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
        [[ -n "$line" ]] && found+=("${${line//:/\\:}/$'\t'/:}")
    done
    if (( ${#found} )); then
        _describe onhand found
    else
        _files
    fi
}
if [[ "${funcstack[1]}" = _onhand ]]; then
    _onhand "$@"
else
    compdef _onhand onhand
fi
`,
	"fish": `# fish completion for onhand
complete -c onhand -a '(onhand complete -- (commandline -opc)[2..-1] (commandline -ct) 2>/dev/null)'
`,
}

// Run prints the script.
func (c *completionCommand) Run(s *streams) error {
	_, err := io.WriteString(s.out, completionScripts[c.Shell])
	return err
}

// completeCommand is asked by the shell what may come next.
type completeCommand struct {
	Words []string `arg:"" optional:"" passthrough:""`
}

// Run prints what the last word may become, a line each: word, tab, meaning.
func (c *completeCommand) Run(s *streams) error {
	words := c.Words
	if len(words) > 0 && words[0] == "--" {
		words = words[1:]
	}
	if len(words) == 0 {
		words = []string{""}
	}
	for _, line := range candidates(newParser(new(cli), s.out, s.err).Model.Node, words) {
		fmt.Fprintln(s.out, line)
	}
	return nil
}

func candidates(node *kong.Node, words []string) (found []string) {
	last := words[len(words)-1]
	add := func(word, meaning string) {
		if strings.HasPrefix(word, last) {
			found = append(found, word+"\t"+meaning)
		}
	}
	var open *kong.Flag // its value comes next
	var taken int       // arguments without a name
	for _, word := range words[:len(words)-1] {
		switch child := childOf(node, word); {
		case open != nil:
			if word != "=" { // bash makes a word of it
				open = nil
			}
		case strings.HasPrefix(word, "-"):
			name, _, whole := strings.Cut(word, "=")
			if node.DefaultCmd != nil && findFlag(node, name) == nil {
				node = node.DefaultCmd
			}
			if flag := findFlag(node, name); flag != nil && !flag.IsBool() && !whole {
				open = flag
			}
		case child != nil:
			node, taken = child, 0
		default:
			taken++
		}
	}
	switch {
	case open != nil:
		last = strings.TrimPrefix(last, "=")
		for _, value := range enumOf(open.Value) {
			add(value, open.Name)
		}
	case strings.HasPrefix(last, "-"):
		if node.DefaultCmd != nil {
			node = node.DefaultCmd
		}
		for n := node; n != nil; n = n.Parent {
			for _, flag := range n.Flags {
				if !flag.Hidden {
					add("--"+flag.Name, firstSentence(flag.Help))
				}
			}
		}
	default:
		for _, child := range node.Children {
			if !child.Hidden {
				add(child.Name, firstSentence(child.Help))
			}
		}
		if taken < len(node.Positional) {
			for _, value := range enumOf(node.Positional[taken]) {
				add(value, node.Positional[taken].Name)
			}
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

func findFlag(node *kong.Node, name string) *kong.Flag {
	for n := node; n != nil; n = n.Parent {
		for _, flag := range n.Flags {
			if name == "--"+flag.Name || flag.Short != 0 && name == "-"+string(flag.Short) {
				return flag
			}
		}
	}
	return nil
}

func enumOf(v *kong.Value) (values []string) {
	for value := range strings.SplitSeq(v.Enum, ",") {
		if value = strings.TrimSpace(value); value != "" {
			values = append(values, value)
		}
	}
	return values
}

func firstSentence(help string) string {
	sentence, _, _ := strings.Cut(help, ". ")
	return strings.TrimSuffix(sentence, ".")
}
