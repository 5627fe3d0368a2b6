package main

import (
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"go.yaml.in/yaml/v3"
)

// configPath is the flag that names a configuration file.
//
// The file is YAML: a section for each command, in it the command's flags by their names. A command within another, such
// as key new, is a section within a section.
//
//	serve:
//	  listen: 0.0.0.0:8080
//	  retention-bytes: 32GiB
//
// It stands between the environment and the defaults. All of it is checked, whichever command runs: a name that nothing
// has would otherwise be a setting that someone believes in.
type configPath string

// BeforeResolve reads the file once the command line names one.
func (configPath) BeforeResolve(ctx *kong.Context, trace *kong.Path) error {
	path := string(ctx.FlagValue(trace.Flag).(configPath))
	if path == "" {
		return nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var document yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	c := configFile{path: path, values: make(map[*kong.Flag]any)}
	if len(document.Content) > 0 { // there is more in it than comments
		if err := c.section(ctx.Model.Node, document.Content[0]); err != nil {
			return err
		}
	}
	ctx.AddResolver(&c)
	return nil
}

// configFile is a configuration file that was read.
type configFile struct {
	path   string
	values map[*kong.Flag]any
}

// section reads the settings of a command and the sections of those within it.
func (c *configFile) section(command *kong.Node, in *yaml.Node) error {
	if in.Kind == yaml.ScalarNode && in.Tag == "!!null" {
		return nil // a section with everything commented out
	}
	if in.Kind != yaml.MappingNode {
		return c.fail(in, "want names and values, as in \"listen: 127.0.0.1:8080\"")
	}
	given := make(map[string]bool)
	for i := 0; i < len(in.Content); i += 2 {
		key, value := in.Content[i], in.Content[i+1]
		name := strings.ReplaceAll(key.Value, "_", "-")
		if given[name] {
			return c.fail(key, "%s is given twice", key.Value)
		}
		given[name] = true
		if child := childOf(command, name); child != nil {
			if err := c.section(child, value); err != nil {
				return err
			}
			continue
		}
		flag := flagOf(command, name)
		if flag == nil {
			return c.fail(key, "%s is not known%s", key.Value, nearest(name, namesIn(command)))
		}
		setting, err := c.value(flag, value)
		if err != nil {
			return err
		}
		c.values[flag] = setting
	}
	return nil
}

// value returns a setting as kong wants it: text, or a list for a flag that can be given more than once. It is read here
// for the sake of an error that names the line; kong reads it again where it belongs to the command that runs.
func (c *configFile) value(flag *kong.Flag, in *yaml.Node) (any, error) {
	items := []*yaml.Node{in}
	if in.Kind == yaml.SequenceNode && flag.IsSlice() {
		items = in.Content
	}
	var values []any
	for _, item := range items {
		if item.Kind != yaml.ScalarNode || item.Tag == "!!null" {
			return nil, c.fail(item, "%s wants a plain value", flag.Name)
		}
		values = append(values, item.Value)
	}
	var setting any = values
	if in.Kind == yaml.ScalarNode {
		setting = values[0]
	}
	read := kong.DecodeContext{Value: flag.Value, Scan: kong.Scan().PushTyped(setting, kong.FlagValueToken)}
	if err := flag.Mapper.Decode(&read, reflect.New(flag.Target.Type()).Elem()); err != nil {
		return nil, c.fail(in, "%s: %v", flag.Name, err)
	}
	return setting, nil
}

func (c *configFile) fail(at *yaml.Node, format string, args ...any) error {
	return fmt.Errorf("%s:%d: %s", c.path, at.Line, fmt.Sprintf(format, args...))
}

// Validate implements kong.Resolver. Reading has checked the names.
func (*configFile) Validate(*kong.Application) error { return nil }

// Resolve implements kong.Resolver: what the environment says goes first.
func (c *configFile) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	value, ok := c.values[flag]
	if !ok || slices.ContainsFunc(flag.Envs, func(name string) bool { _, set := os.LookupEnv(name); return set }) {
		return nil, nil
	}
	return value, nil
}

func childOf(command *kong.Node, name string) *kong.Node {
	for _, child := range command.Children {
		if child.Name == name && !child.Hidden {
			return child
		}
	}
	return nil
}

func flagOf(command *kong.Node, name string) *kong.Flag {
	for _, flag := range command.Flags {
		if flag.Name == name && !flag.Hidden && name != "help" && name != "config" {
			return flag
		}
	}
	if command.DefaultCmd != nil {
		return flagOf(command.DefaultCmd, name)
	}
	return nil
}

func namesIn(command *kong.Node) (names []string) {
	for _, child := range command.Children {
		if !child.Hidden {
			names = append(names, child.Name)
		}
	}
	for _, flag := range command.Flags {
		if flagOf(command, flag.Name) != nil {
			names = append(names, flag.Name)
		}
	}
	return names
}

// nearest says which of names comes closest to one that is not among them.
func nearest(name string, names []string) string {
	best, least := "", len(name)/2+2
	for _, n := range names {
		if d := distance(name, n); d < least {
			best, least = n, d
		}
	}
	if best == "" {
		slices.Sort(names)
		return "; known are " + strings.Join(names, ", ")
	}
	return "; did you mean " + best + "?"
}

// distance is the number of letters to insert, remove or exchange to come from a to b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
