// A Synapse Spark pool for preparation that outgrows one machine. It costs nothing while no job runs.

import { Context, Grant } from 'types.bicep'

@description('What all parts need to know.')
param context Context

@description('Its own right to the lake: roleId, of rbac.yml.')
param grants Grant[]

@description('Id of the Log Analytics workspace.')
param logs string

resource lake 'Microsoft.Storage/storageAccounts@2025-01-01' existing = {
  name: context.names.lake
}

resource synapse 'Microsoft.Synapse/workspaces@2021-06-01' = {
  name: context.names.synapse
  location: context.location
  tags: context.tags
  identity: { type: 'SystemAssigned' }
  properties: {
    azureADOnlyAuthentication: true
    managedVirtualNetwork: 'default'
    managedVirtualNetworkSettings: { preventDataExfiltration: true }
    publicNetworkAccess: empty(context.privateEndpoints.subnet) ? 'Enabled' : 'Disabled'
    defaultDataLakeStorage: {
      accountUrl: 'https://${context.names.lake}.dfs.${az.environment().suffixes.storage}'
      filesystem: 'silver'
      resourceId: lake.id
      createManagedPrivateEndpoint: true
    }
  }
}

resource reads 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for grant in grants: {
    scope: lake
    name: guid(lake.id, synapse.id, grant.roleId)
    properties: {
      roleDefinitionId: grant.roleId
      principalId: synapse.identity.principalId
      principalType: 'ServicePrincipal'
    }
  }
]

resource pool 'Microsoft.Synapse/workspaces/bigDataPools@2021-06-01' = {
  parent: synapse
  name: 'spark'
  location: context.location
  tags: context.tags
  properties: {
    sparkVersion: '3.5'
    nodeSizeFamily: 'MemoryOptimized'
    nodeSize: 'Small'
    autoScale: { enabled: true, minNodeCount: 3, maxNodeCount: 10 }
    autoPause: { enabled: true, delayInMinutes: 15 }
  }
}

resource toLogs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: synapse
  name: 'to-logs'
  properties: {
    workspaceId: logs
    logs: [{ categoryGroup: 'allLogs', enabled: true }]
  }
}
