// A storage account without keys: a data lake, or the storage of a workspace.

import { Context } from 'types.bicep'

@description('Its name, 3 to 24 lower-case letters and digits.')
@minLength(3)
@maxLength(24)
param name string

@description('What all parts need to know.')
param context Context

@description('A data lake has folders, containers and lifecycle rules.')
param isLake bool

@description('Web addresses whose pages may read, for labelling in a browser.')
param origins string[] = []

@description('Id of the Log Analytics workspace.')
param logs string

var open = empty(context.privateEndpoints.subnet)

resource account 'Microsoft.Storage/storageAccounts@2025-01-01' = {
  name: name
  location: context.location
  tags: context.tags
  kind: 'StorageV2'
  sku: { name: 'Standard_ZRS' }
  properties: {
    accessTier: 'Hot'
    isHnsEnabled: isLake
    allowSharedKeyAccess: false
    defaultToOAuthAuthentication: true
    allowBlobPublicAccess: false
    allowCrossTenantReplication: false
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    publicNetworkAccess: open ? 'Enabled' : 'Disabled'
    networkAcls: {
      bypass: 'AzureServices'
      defaultAction: open && empty(context.allowedAddresses) ? 'Allow' : 'Deny'
      ipRules: map(context.allowedAddresses, address => { value: address, action: 'Allow' })
    }
  }
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2025-01-01' = {
  parent: account
  name: 'default'
  properties: {
    deleteRetentionPolicy: { enabled: true, days: 14 }
    containerDeleteRetentionPolicy: { enabled: true, days: 14 }
    cors: {
      corsRules: empty(origins)
        ? []
        : [
            {
              allowedOrigins: origins
              allowedMethods: ['GET', 'HEAD']
              allowedHeaders: ['*']
              exposedHeaders: ['*']
              maxAgeInSeconds: 1800
            }
          ]
    }
  }
}

resource zones 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-01-01' = [
  for zone in (isLake ? context.lake.zones : []): {
    parent: blobs
    name: zone
    properties: { publicAccess: 'None' }
  }
]

resource lifecycle 'Microsoft.Storage/storageAccounts/managementPolicies@2025-01-01' = if (isLake) {
  parent: account
  name: 'default'
  properties: {
    policy: {
      rules: [
        {
          name: 'cool'
          type: 'Lifecycle'
          definition: {
            filters: { blobTypes: ['blockBlob'] }
            actions: { baseBlob: { tierToCool: { daysAfterModificationGreaterThan: context.lake.cool_after_days } } }
          }
        }
        {
          name: 'delete-bronze'
          type: 'Lifecycle'
          definition: {
            filters: { blobTypes: ['blockBlob'], prefixMatch: ['bronze/'] }
            actions: { baseBlob: { delete: { daysAfterModificationGreaterThan: context.lake.delete_bronze_after_days } } }
          }
        }
      ]
    }
  }
}

resource toLogs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: blobs
  name: 'to-logs'
  properties: {
    workspaceId: logs
    logs: [{ categoryGroup: 'allLogs', enabled: true }]
    metrics: [{ category: 'Transaction', enabled: true }]
  }
}

resource lock 'Microsoft.Authorization/locks@2020-05-01' = if (context.protect) {
  scope: account
  name: 'keep'
  properties: { level: 'CanNotDelete', notes: 'Holds data: remove this lock first.' }
}
