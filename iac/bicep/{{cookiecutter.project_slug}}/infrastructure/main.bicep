// The estate of one environment on Azure, from config/*.yml and the data beside this file. README.md says how to apply it.
targetScope = 'subscription'

import { nameOf } from 'modules/names.bicep'

@description('Which part of the estate. Apply shared first.')
@allowed(['shared', 'dev', 'staging', 'prod'])
param environment string

// A path cannot be computed, so that every file is read and one is used. any: config may have keys or not.
var project = any(loadYamlContent('../config/shared.yml', '$.project'))
var registry = any(loadYamlContent('../config/shared.yml', '$.registry'))
var shared = any(loadYamlContent('../config/shared.yml', '$.infrastructure'))
var settingsOf = {
  dev: any(loadYamlContent('../config/dev.yml', '$.infrastructure'))
  staging: any(loadYamlContent('../config/staging.yml', '$.infrastructure'))
  prod: any(loadYamlContent('../config/prod.yml', '$.infrastructure'))
}
var azureOf = {
  dev: any(loadYamlContent('../config/dev.yml', '$.azure'))
  staging: any(loadYamlContent('../config/staging.yml', '$.azure'))
  prod: any(loadYamlContent('../config/prod.yml', '$.azure'))
}
var contactsOf = {
  dev: any(loadYamlContent('../config/dev.yml', '$.contacts'))
  staging: any(loadYamlContent('../config/staging.yml', '$.contacts'))
  prod: any(loadYamlContent('../config/prod.yml', '$.contacts'))
}
var endpointOf = {
  dev: any(loadYamlContent('../config/dev.yml', '$.deployment.endpoint'))
  staging: any(loadYamlContent('../config/staging.yml', '$.deployment.endpoint'))
  prod: any(loadYamlContent('../config/prod.yml', '$.deployment.endpoint'))
}
var rbac = any(loadYamlContent('rbac.yml'))
var roles = any(loadYamlContent('roles.yml'))
var rules = any(loadYamlContent('names.yml'))

// Both are refused here rather than by Azure half-way.
var nameSuffix = length(shared.name_suffix) < 3
  ? fail('infrastructure.name_suffix is empty: `mlops check --infrastructure` says what to write')
  : shared.name_suffix
var outbound = empty(shared.approved_outbound.package_index)
  ? fail('infrastructure.approved_outbound.package_index is empty: `mlops check --infrastructure` says what to write')
  : shared.approved_outbound

var isShared = environment == 'shared'
var settings = isShared ? shared : settingsOf[environment]
var azure = isShared ? registry : azureOf[environment]
var names = toObject(
  objectKeys(rules),
  kind => kind,
  kind => nameOf(rules, settings.existing, kind, project.name, environment, nameSuffix)
)
var tags = {
  project: project.name
  environment: environment
  owner: contactsOf[isShared ? 'prod' : environment].owner
  managed_by: 'infrastructure'
}

// With a single workspace only shared and prod are applied, and prod has the rights of all environments.
var single = shared.workspaces == 'one'
var applied = !single || isShared || environment == 'prod'
var environments = single ? ['prod'] : ['dev', 'staging', 'prod']
var here = single && environment == 'prod' ? ['dev', 'staging', 'prod'] : [environment]
var stages = environment == 'dev' ? ['pre_production'] : single && !isShared ? ['production', 'pre_production'] : ['production']

// What a column of the tables is in this environment; Azure DevOps' columns are no Azure resources.
var columns = isShared
  ? { log_analytics: ['log_analytics'], storage_account: ['lake'], azure_monitor: ['azure_monitor'] }
  : {
      workspace: ['workspace']
      key_vault: ['key_vault']
      container_registry: ['container_registry']
      storage_account: environment == 'dev' ? ['storage_account', 'lake'] : ['storage_account']
      log_analytics: ['log_analytics']
      azure_monitor: ['application_insights', 'azure_monitor']
    }
var personas = filter(
  items(rbac.personas),
  persona =>
    !(isShared && persona.value.principal == 'managed') && !(shared.just_in_time && persona.value.access == 'eligible')
)
var fromTables = flatten(map(
  stages,
  stage =>
    flatten(map(
      personas,
      persona =>
        flatten(map(
          items(columns),
          column =>
            flatten(map(
              rbac.assignments[stage][persona.key][?column.key] ?? [],
              role =>
                map(
                  column.value,
                  resource => { resource: resource, role: role, principal: persona.key, of: environment }
                )
            ))
        ))
    ))
))
var fromSystem = flatten(map(
  filter(rbac.system, line => !empty(intersection(line.in, here))),
  line =>
    map(
      single ? [isShared && !contains(line, 'of') ? 'shared' : 'prod'] : line.?of ?? [environment],
      of => { resource: line.resource, role: line.role, principal: line.principal, of: of }
    )
))
var managed = ['workspace', 'compute', 'endpoint', 'monitoring_processes']
var withPrincipal = map(
  union([], concat(fromTables, fromSystem)),
  grant => union(grant, {
    // Who it is: the id of a group or service principal, or the name of an identity that shared makes.
    id: contains(rbac.identities, grant.principal)
      ? ''
      : union(shared.groups, grant.of == 'shared' ? {} : settingsOf[grant.of].groups)[?grant.principal] ?? ''
    identity: contains(managed, grant.principal)
      ? nameOf(rules, {}, '${grant.principal}_identity', project.name, grant.of, nameSuffix)
      : ''
    type: rbac.personas[?grant.principal].?principal == 'group' ? 'Group' : 'ServicePrincipal'
    roleId: contains(roles, grant.role)
      ? subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles[grant.role])
      : callerRoleId
  })
)
var grants = filter(withPrincipal, grant => !empty(grant.id) || !empty(grant.identity) || contains(['event_hubs', 'synapse'], grant.principal))

var caller = rbac.custom_roles['Endpoint Caller']
var callerName = guid(subscription().id, azure.resource_group, 'Endpoint Caller')
var callerRoleId = subscriptionResourceId('Microsoft.Authorization/roleDefinitions', callerName)

resource group 'Microsoft.Resources/resourceGroups@2025-04-01' = if (applied && !contains(settings.existing, 'resource_group')) {
  name: azure.resource_group
  location: azure.location
  tags: tags
}

resource callerRole 'Microsoft.Authorization/roleDefinitions@2022-04-01' = if (applied && contains(
  ['staging', 'prod'],
  environment
)) {
  name: callerName
  properties: {
    roleName: 'Endpoint Caller (${azure.resource_group})'
    description: caller.description
    type: 'CustomRole'
    permissions: [{ actions: caller.actions }]
    assignableScopes: [subscription().id]
  }
  dependsOn: [group]
}

@batchSize(1) // Azure refuses two at a time
resource defender 'Microsoft.Security/pricings@2024-01-01' = [
  for plan in (isShared ? shared.defender : []): {
    name: plan
    properties: { pricingTier: 'Standard' }
  }
]

// What both parts need to know.
var context = {
  environment: environment
  location: azure.location
  tags: tags
  names: names
  existing: settings.existing
  serving: shared.serving
  contacts: shared.contacts
  logDays: shared.log_days
  lake: shared.lake
  allowedAddresses: settings.allowed_addresses
  privateEndpoints: settings.private_endpoints
  budget: union(settings.budget, { start: shared.budget_start })
  protect: isShared || (settings.?protect ?? false)
  shared: { subscription: registry.subscription, group: registry.resource_group, registry: registry.name }
}

module sharedPart 'modules/shared.bicep' = if (isShared) {
  name: 'estate-shared'
  scope: resourceGroup(azure.resource_group)
  params: {
    context: context
    grants: grants
    identities: flatten(map(
      environments,
      one =>
        map(managed, kind => nameOf(rules, {}, '${kind}_identity', project.name, one, nameSuffix))
    ))
    eventHubs: shared.?event_hubs ?? false
    spark: shared.?spark ?? false
  }
  dependsOn: [group]
}

module environmentPart 'modules/environment.bicep' = if (!isShared && applied) {
  name: 'estate-${environment}'
  scope: resourceGroup(azure.resource_group)
  params: {
    context: context
    outbound: outbound
    grants: grants
    workspaceName: azure.workspace
    // The lake: dev's own, production's for staging and prod.
    lake: environment == 'dev'
      ? { subscription: azure.subscription, group: azure.resource_group, name: names.lake }
      : {
          subscription: registry.subscription
          group: registry.resource_group
          name: nameOf(rules, shared.existing, 'lake', project.name, 'shared', nameSuffix)
        }
    ownLake: environment == 'dev'
    clusters: settings.?clusters ?? {}
    kubernetes: settings.?kubernetes
    endpoint: isShared ? {} : endpointOf[environment]
    watchEndpoint: settings.?endpoint ?? false
    firewall: settings.?firewall ?? 'Standard'
    labellingOrigins: shared.?labelling_origins ?? []
    limits: toObject(
      filter(
        items(union(shared.alerts, shared.alerts.sizes[shared.alerts.size])),
        limit => !contains(['size', 'sizes'], limit.key)
      ),
      limit => limit.key,
      limit => limit.value
    )
    eventHubs: settings.?event_hubs ?? false
    spark: settings.?spark ?? false
  }
  dependsOn: [group, callerRole]
}

@description('The names of what was made, by kind: pipelines read them.')
output names object = names

@description('The resource group of this environment.')
output resourceGroup string = azure.resource_group
