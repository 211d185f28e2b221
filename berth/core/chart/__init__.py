"""A profile as a Helm chart.

The templates run once more, this time with symbols where `values` and the release's name and namespace are: `symbols`
holds what can be written of a value that only Helm will know, `evaluate` runs expressions and `execute` statements,
`scopes` keeps their names, and `operations` says what filters, tests and operators make of symbols. `scalars` and
`regions` read the text that comes out as YAML whose lines stand under conditions, `objects` adds what every manifest
gets, `expressions` and `emit` write it all as Go templates with the words of `golang` and the named templates of
`helpers`, `package` the files around them. `convert` is the way in.

What cannot be carried raises `NotCarried` with the values at fault. They are then fixed, which means that the templates
see what the profile sets, and the run starts again.
"""
