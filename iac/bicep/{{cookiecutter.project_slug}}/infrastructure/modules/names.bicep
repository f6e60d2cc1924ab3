@export()
@description('The name of a kind of resource by names.yml, or the one that `existing` in config gives.')
func nameOf(rules object, existing object, kind string, project string, environment string, suffix string) string =>
  string(existing[?kind] ?? replace(
    replace(
      replace(rules[kind].name, '{project}', take(replace(project, '-', ''), rules[kind].length)),
      '{environment}',
      environment
    ),
    '{suffix}',
    suffix
  ))
