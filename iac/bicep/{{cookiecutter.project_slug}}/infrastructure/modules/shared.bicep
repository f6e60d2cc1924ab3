// What the environments share: production's lake, the registry of models, and the identities of all environments.

import { Context, Grant } from 'types.bicep'

@description('What all parts need to know.')
param context Context

@description('Names of the managed identities.')
param identities string[]

@description('What to assign; see access.bicep.')
param grants Grant[]

@description('Whether events are taken in.')
param eventHubs bool

@description('Whether there is a Spark pool.')
param spark bool

var logs = resourceId('Microsoft.OperationalInsights/workspaces', context.names.log_analytics)
var lakeId = resourceId('Microsoft.Storage/storageAccounts', context.names.lake)
var registryId = resourceId('Microsoft.MachineLearningServices/registries', context.shared.registry)
var receiverIds = toObject(
  objectKeys(context.contacts),
  persona => persona,
  persona =>
    resourceId('Microsoft.Insights/actionGroups', '${context.names.action_group}-${replace(persona, '_', '-')}')
)

module logging 'logs.bicep' = {
  params: { context: context, insights: false }
}

module people 'identities.bicep' = {
  params: { context: context, names: identities }
}

module lake 'storage.bicep' = if (!contains(context.existing, 'lake')) {
  params: { name: context.names.lake, context: context, isLake: true, logs: logs }
  dependsOn: [logging]
}

module registry 'registry.bicep' = if (!contains(context.existing, 'registry')) {
  params: { name: context.shared.registry, context: context, logs: logs }
  dependsOn: [logging]
}

module receivers 'receivers.bicep' = {
  params: { context: context }
}

module governance 'governance.bicep' = {
  params: { context: context, receivers: receiverIds }
  dependsOn: [receivers]
}

module access 'access.bicep' = {
  params: {
    names: context.names
    registryName: context.shared.registry
    grants: filter(grants, grant => !contains(['event_hubs', 'synapse'], grant.principal))
    shared: context.shared
    actionGroups: receivers.outputs.names
  }
  dependsOn: [people, lake, registry, logging]
}

module ingestion 'event-hubs.bicep' = if (eventHubs) {
  params: { context: context, logs: logs, grants: filter(grants, grant => grant.principal == 'event_hubs') }
  dependsOn: [lake]
}

module preparation 'spark.bicep' = if (spark) {
  params: { context: context, logs: logs, grants: filter(grants, grant => grant.principal == 'synapse') }
  dependsOn: [lake]
}

module endpoints 'private-endpoints.bicep' = if (!empty(context.privateEndpoints.subnet)) {
  params: {
    context: context
    targets: [
      { name: 'lake-blob', id: lakeId, group: 'blob', zones: ['privatelink.blob.${az.environment().suffixes.storage}'] }
      { name: 'lake-dfs', id: lakeId, group: 'dfs', zones: ['privatelink.dfs.${az.environment().suffixes.storage}'] }
      {
        name: 'registry'
        id: registryId
        group: 'amlregistry'
        zones: ['privatelink.api.azureml.ms', 'privatelink.notebooks.azure.net']
      }
    ]
  }
  dependsOn: [lake, registry]
}
