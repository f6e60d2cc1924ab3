// One environment: its workspace and all that belongs to it.

import { Context, Grant } from 'types.bicep'

@description('What all parts need to know.')
param context Context

@description('Hosts that jobs and containers may reach, by what they are for.')
param outbound { *: string[] }

@description('What to assign; see access.bicep.')
param grants Grant[]

@description('Name of the workspace.')
param workspaceName string

@description('The lake that this environment reads: subscription, group and name.')
param lake { subscription: string, group: string, name: string }

@description('Whether that lake is made here.')
param ownLake bool

@description('Clusters by name: size and the most nodes.')
param clusters { *: { size: string, nodes: int } }

@description('Settings of the Kubernetes cluster; none without one.')
param kubernetes { size: string, nodes: { min: int, max: int }, tls: { host: string, secret: string }, arc: string }?

@description('The endpoint in config: its name, and its compute on Kubernetes.')
param endpoint object

@description('Whether the endpoint is there already, so that it can be watched.')
param watchEndpoint bool

@description('Size of the firewall behind the outbound rules.')
param firewall string

@description('Web addresses of where people label.')
param labellingOrigins string[]

@description('Limits of the alerts by name.')
param limits { *: int }

@description('Whether events are taken in.')
param eventHubs bool

@description('Whether there is a Spark pool.')
param spark bool

var names = context.names
var vaultId = resourceId('Microsoft.KeyVault/vaults', names.key_vault)
var imagesId = resourceId('Microsoft.ContainerRegistry/registries', names.container_registry)
var storageId = resourceId('Microsoft.Storage/storageAccounts', names.storage_account)
var lakeId = resourceId('Microsoft.Storage/storageAccounts', names.lake)
var workspaceId = resourceId('Microsoft.MachineLearningServices/workspaces', workspaceName)
var logs = resourceId('Microsoft.OperationalInsights/workspaces', names.log_analytics)
var insights = resourceId('Microsoft.Insights/components', names.application_insights)
var identityIds = toObject(
  ['workspace', 'compute', 'endpoint', 'monitoring_processes'],
  kind => kind,
  kind =>
    resourceId(
      context.shared.subscription,
      context.shared.group,
      'Microsoft.ManagedIdentity/userAssignedIdentities',
      names['${kind}_identity']
    )
)
var receiverIds = toObject(
  objectKeys(context.contacts),
  persona => persona,
  persona => resourceId('Microsoft.Insights/actionGroups', '${names.action_group}-${replace(persona, '_', '-')}')
)
var ownIdentities = ['event_hubs', 'synapse']
var last = ['workspace', 'azure_monitor'] // needs the workspace, which in turn needs the other roles

module logging 'logs.bicep' = {
  params: { context: context, insights: true }
}

module storage 'storage.bicep' = if (!contains(context.existing, 'storage_account')) {
  params: { name: names.storage_account, context: context, isLake: false, origins: labellingOrigins, logs: logs }
  dependsOn: [logging]
}

module ownLakeAccount 'storage.bicep' = if (ownLake && !contains(context.existing, 'lake')) {
  params: { name: names.lake, context: context, isLake: true, logs: logs }
  dependsOn: [logging]
}

module vault 'vault.bicep' = if (!contains(context.existing, 'key_vault')) {
  params: { name: names.key_vault, context: context, logs: logs }
  dependsOn: [logging]
}

module images 'images.bicep' = if (!contains(context.existing, 'container_registry')) {
  params: { name: names.container_registry, context: context, logs: logs }
  dependsOn: [logging]
}

module access 'access.bicep' = {
  params: {
    names: names
    grants: filter(
      grants,
      grant =>
        !contains(last, grant.resource) && !contains(ownIdentities, grant.principal) && (ownLake || grant.resource != 'lake')
    )
    shared: context.shared
  }
  dependsOn: [logging, storage, ownLakeAccount, vault, images]
}

module workspace 'workspace.bicep' = {
  params: {
    name: workspaceName
    context: context
    parts: { logs: logs, insights: insights, vault: vaultId, storage: storageId, images: imagesId }
    existing: contains(context.existing, 'workspace')
    outbound: outbound
    firewall: firewall
    lake: lake
    identities: identityIds
    clusters: clusters
  }
  dependsOn: [access]
}

module cluster 'kubernetes.bicep' = if (kubernetes != null) {
  params: {
    context: context
    settings: kubernetes!
    workspaceName: workspaceName
    computeName: replace(endpoint.?compute ?? 'kubernetes', 'azureml:', '')
    identity: identityIds.compute
    logs: logs
  }
  dependsOn: [workspace]
}

module watchedEndpoint 'endpoint.bicep' = if (watchEndpoint) {
  params: { name: endpoint.name, workspaceName: workspaceName, serving: context.serving, logs: logs }
  dependsOn: [workspace]
}

module receivers 'receivers.bicep' = {
  params: { context: context }
}

module governance 'governance.bicep' = {
  params: { context: context, receivers: receiverIds }
  dependsOn: [receivers]
}

module alerts 'alerts.bicep' = {
  params: {
    context: context
    receivers: receiverIds
    limits: limits
    identity: identityIds.monitoring_processes
    workspaceName: workspaceName
    watched: union(
      { log_analytics: logs, workspace: workspaceId, storage_account: storageId },
      kubernetes != null && empty(kubernetes.?arc)
        ? { kubernetes: resourceId('Microsoft.ContainerService/managedClusters', names.kubernetes) }
        : {},
      watchEndpoint && context.serving != 'batch'
        ? { endpoint: '${workspaceId}/onlineEndpoints/${endpoint.name}' }
        : {}
    )
  }
  dependsOn: [workspace, receivers, cluster]
}

module accessToWorkspace 'access.bicep' = {
  params: {
    names: names
    workspaceName: workspaceName
    grants: filter(grants, grant => contains(last, grant.resource))
    shared: context.shared
    logAlerts: alerts.outputs.logAlerts
    metricAlerts: alerts.outputs.metricAlerts
    actionGroups: receivers.outputs.names
  }
  dependsOn: [workspace]
}

module ingestion 'event-hubs.bicep' = if (ownLake && eventHubs) {
  params: { context: context, logs: logs, grants: filter(grants, grant => grant.principal == 'event_hubs') }
  dependsOn: [ownLakeAccount]
}

module preparation 'spark.bicep' = if (ownLake && spark) {
  params: { context: context, logs: logs, grants: filter(grants, grant => grant.principal == 'synapse') }
  dependsOn: [ownLakeAccount]
}

module endpoints 'private-endpoints.bicep' = if (!empty(context.privateEndpoints.subnet)) {
  params: {
    context: context
    targets: concat(
      [
        {
          name: 'workspace'
          id: workspaceId
          group: 'amlworkspace'
          zones: ['privatelink.api.azureml.ms', 'privatelink.notebooks.azure.net']
        }
        { name: 'vault', id: vaultId, group: 'vault', zones: ['privatelink.vaultcore.azure.net'] }
        { name: 'images', id: imagesId, group: 'registry', zones: ['privatelink${az.environment().suffixes.acrLoginServer}'] }
        { name: 'storage-blob', id: storageId, group: 'blob', zones: ['privatelink.blob.${az.environment().suffixes.storage}'] }
        { name: 'storage-file', id: storageId, group: 'file', zones: ['privatelink.file.${az.environment().suffixes.storage}'] }
      ],
      ownLake
        ? [
            { name: 'lake-blob', id: lakeId, group: 'blob', zones: ['privatelink.blob.${az.environment().suffixes.storage}'] }
            { name: 'lake-dfs', id: lakeId, group: 'dfs', zones: ['privatelink.dfs.${az.environment().suffixes.storage}'] }
          ]
        : []
    )
  }
  dependsOn: [workspace, ownLakeAccount]
}
