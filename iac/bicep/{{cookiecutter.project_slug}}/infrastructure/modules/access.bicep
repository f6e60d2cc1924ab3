// Role assignments: all of them are in this file. `grants` say who gets which role on which kind of resource.

import { Grant } from 'types.bicep'

@description('Names of the resources by kind.')
param names { *: string }

@description('Name of the Azure ML workspace.')
param workspaceName string = ''

@description('Name of the registry that the environments share.')
param registryName string = ''

@description('What to assign.')
param grants Grant[]

@description('Where the managed identities are: subscription and group.')
param shared { subscription: string, group: string, registry: string }

@description('Names of the alert rules on logs.')
param logAlerts string[] = []

@description('Names of the alert rules on metrics.')
param metricAlerts string[] = []

@description('Names of the action groups.')
param actionGroups string[] = []

func on(grants Grant[], kind string) array => filter(grants, grant => grant.resource == kind)

func onEach(grants Grant[], kind string, targets string[]) array =>
  flatten(map(targets, target => map(on(grants, kind), grant => union(grant, { target: target }))))

var identityNames = union([], map(filter(grants, grant => !empty(grant.identity)), grant => grant.identity))

resource identities 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' existing = [
  for name in identityNames: {
    name: name
    scope: resourceGroup(shared.subscription, shared.group)
  }
]

resource workspace 'Microsoft.MachineLearningServices/workspaces@2025-06-01' existing = {
  name: workspaceName
}

resource onWorkspace 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for grant in on(grants, 'workspace'): {
    scope: workspace
    name: guid(workspace.id, grant.id, grant.identity, grant.roleId)
    properties: {
      roleDefinitionId: grant.roleId
      principalId: empty(grant.identity) ? grant.id : identities[indexOf(identityNames, grant.identity)].properties.principalId
      principalType: grant.type
    }
  }
]

resource registry 'Microsoft.MachineLearningServices/registries@2025-06-01' existing = {
  name: registryName
}

resource onRegistry 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for grant in on(grants, 'registry'): {
    scope: registry
    name: guid(registry.id, grant.id, grant.identity, grant.roleId)
    properties: {
      roleDefinitionId: grant.roleId
      principalId: empty(grant.identity) ? grant.id : identities[indexOf(identityNames, grant.identity)].properties.principalId
      principalType: grant.type
    }
  }
]

resource vault 'Microsoft.KeyVault/vaults@2024-11-01' existing = {
  name: names.key_vault
}

resource onVault 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for grant in on(grants, 'key_vault'): {
    scope: vault
    name: guid(vault.id, grant.id, grant.identity, grant.roleId)
    properties: {
      roleDefinitionId: grant.roleId
      principalId: empty(grant.identity) ? grant.id : identities[indexOf(identityNames, grant.identity)].properties.principalId
      principalType: grant.type
    }
  }
]

resource images 'Microsoft.ContainerRegistry/registries@2025-04-01' existing = {
  name: names.container_registry
}

resource onImages 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for grant in on(grants, 'container_registry'): {
    scope: images
    name: guid(images.id, grant.id, grant.identity, grant.roleId)
    properties: {
      roleDefinitionId: grant.roleId
      principalId: empty(grant.identity) ? grant.id : identities[indexOf(identityNames, grant.identity)].properties.principalId
      principalType: grant.type
    }
  }
]

resource storage 'Microsoft.Storage/storageAccounts@2025-01-01' existing = {
  name: names.storage_account
}

resource onStorage 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for grant in on(grants, 'storage_account'): {
    scope: storage
    name: guid(storage.id, grant.id, grant.identity, grant.roleId)
    properties: {
      roleDefinitionId: grant.roleId
      principalId: empty(grant.identity) ? grant.id : identities[indexOf(identityNames, grant.identity)].properties.principalId
      principalType: grant.type
    }
  }
]

resource lake 'Microsoft.Storage/storageAccounts@2025-01-01' existing = {
  name: names.lake
}

resource onLake 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for grant in on(grants, 'lake'): {
    scope: lake
    name: guid(lake.id, grant.id, grant.identity, grant.roleId)
    properties: {
      roleDefinitionId: grant.roleId
      principalId: empty(grant.identity) ? grant.id : identities[indexOf(identityNames, grant.identity)].properties.principalId
      principalType: grant.type
    }
  }
]

resource logs 'Microsoft.OperationalInsights/workspaces@2025-02-01' existing = {
  name: names.log_analytics
}

resource onLogs 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for grant in on(grants, 'log_analytics'): {
    scope: logs
    name: guid(logs.id, grant.id, grant.identity, grant.roleId)
    properties: {
      roleDefinitionId: grant.roleId
      principalId: empty(grant.identity) ? grant.id : identities[indexOf(identityNames, grant.identity)].properties.principalId
      principalType: grant.type
    }
  }
]

resource insights 'Microsoft.Insights/components@2020-02-02' existing = {
  name: names.application_insights
}

resource onInsights 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for grant in on(grants, 'application_insights'): {
    scope: insights
    name: guid(insights.id, grant.id, grant.identity, grant.roleId)
    properties: {
      roleDefinitionId: grant.roleId
      principalId: empty(grant.identity) ? grant.id : identities[indexOf(identityNames, grant.identity)].properties.principalId
      principalType: grant.type
    }
  }
]

resource logRules 'Microsoft.Insights/scheduledQueryRules@2023-12-01' existing = [
  for name in logAlerts: {
    name: name
  }
]

resource onLogRules 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for grant in onEach(grants, 'azure_monitor', logAlerts): {
    scope: logRules[indexOf(logAlerts, grant.target)]
    name: guid(logRules[indexOf(logAlerts, grant.target)].id, grant.id, grant.identity, grant.roleId)
    properties: {
      roleDefinitionId: grant.roleId
      principalId: empty(grant.identity) ? grant.id : identities[indexOf(identityNames, grant.identity)].properties.principalId
      principalType: grant.type
    }
  }
]

resource metricRules 'Microsoft.Insights/metricAlerts@2018-03-01' existing = [
  for name in metricAlerts: {
    name: name
  }
]

resource onMetricRules 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for grant in onEach(grants, 'azure_monitor', metricAlerts): {
    scope: metricRules[indexOf(metricAlerts, grant.target)]
    name: guid(metricRules[indexOf(metricAlerts, grant.target)].id, grant.id, grant.identity, grant.roleId)
    properties: {
      roleDefinitionId: grant.roleId
      principalId: empty(grant.identity) ? grant.id : identities[indexOf(identityNames, grant.identity)].properties.principalId
      principalType: grant.type
    }
  }
]

resource receivers 'Microsoft.Insights/actionGroups@2023-01-01' existing = [
  for name in actionGroups: {
    name: name
  }
]

resource onReceivers 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for grant in onEach(grants, 'azure_monitor', actionGroups): {
    scope: receivers[indexOf(actionGroups, grant.target)]
    name: guid(receivers[indexOf(actionGroups, grant.target)].id, grant.id, grant.identity, grant.roleId)
    properties: {
      roleDefinitionId: grant.roleId
      principalId: empty(grant.identity) ? grant.id : identities[indexOf(identityNames, grant.identity)].properties.principalId
      principalType: grant.type
    }
  }
]
