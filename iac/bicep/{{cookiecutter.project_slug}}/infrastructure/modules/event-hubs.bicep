// Events are taken in by an event hub, whose Capture writes them into the lake.

import { Context, Grant } from 'types.bicep'

@description('What all parts need to know.')
param context Context

@description('Its own right to write: roleId, of rbac.yml.')
param grants Grant[]

@description('Id of the Log Analytics workspace.')
param logs string

resource namespace 'Microsoft.EventHub/namespaces@2024-01-01' = {
  name: context.names.event_hubs
  location: context.location
  tags: context.tags
  sku: { name: 'Standard', tier: 'Standard', capacity: 1 }
  identity: { type: 'SystemAssigned' }
  properties: {
    disableLocalAuth: true
    minimumTlsVersion: '1.2'
    isAutoInflateEnabled: true
    maximumThroughputUnits: 4
    publicNetworkAccess: empty(context.privateEndpoints.subnet) ? 'Enabled' : 'Disabled'
  }
}

resource lake 'Microsoft.Storage/storageAccounts@2025-01-01' existing = {
  name: context.names.lake
}

resource writes 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for grant in grants: {
    scope: lake
    name: guid(lake.id, namespace.id, grant.roleId)
    properties: {
      roleDefinitionId: grant.roleId
      principalId: namespace.identity.principalId
      principalType: 'ServicePrincipal'
    }
  }
]

resource events 'Microsoft.EventHub/namespaces/eventhubs@2024-01-01' = {
  parent: namespace
  name: 'events'
  properties: {
    partitionCount: 4
    retentionDescription: { cleanupPolicy: 'Delete', retentionTimeInHours: 24 }
    captureDescription: {
      enabled: true
      encoding: 'Avro'
      intervalInSeconds: 300
      sizeLimitInBytes: 314572800
      skipEmptyArchives: true
      destination: {
        name: 'EventHubArchive.AzureBlockBlob'
        identity: { type: 'SystemAssigned' }
        properties: {
          storageAccountResourceId: lake.id
          blobContainer: 'bronze'
          archiveNameFormat: '{Namespace}/{EventHub}/{PartitionId}/{Year}/{Month}/{Day}/{Hour}/{Minute}/{Second}'
        }
      }
    }
  }
  dependsOn: [writes]
}

resource toLogs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: namespace
  name: 'to-logs'
  properties: {
    workspaceId: logs
    logs: [{ categoryGroup: 'allLogs', enabled: true }]
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}
