// The key vault of a workspace: rights by roles, nothing is lost for 90 days.

import { Context } from 'types.bicep'

@description('Its name, 3 to 24 letters, digits and hyphens.')
@minLength(3)
@maxLength(24)
param name string

@description('What all parts need to know.')
param context Context

@description('Id of the Log Analytics workspace.')
param logs string

var open = empty(context.privateEndpoints.subnet)

resource vault 'Microsoft.KeyVault/vaults@2024-11-01' = {
  name: name
  location: context.location
  tags: context.tags
  properties: {
    tenantId: tenant().tenantId
    sku: { family: 'A', name: 'standard' }
    enableRbacAuthorization: true
    enableSoftDelete: true
    softDeleteRetentionInDays: 90
    enablePurgeProtection: true
    publicNetworkAccess: open ? 'Enabled' : 'Disabled'
    networkAcls: {
      bypass: 'AzureServices'
      defaultAction: open && empty(context.allowedAddresses) ? 'Allow' : 'Deny'
      ipRules: map(context.allowedAddresses, address => { value: address })
    }
  }
}

resource toLogs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: vault
  name: 'to-logs'
  properties: {
    workspaceId: logs
    logs: [{ categoryGroup: 'allLogs', enabled: true }]
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}

resource lock 'Microsoft.Authorization/locks@2020-05-01' = if (context.protect) {
  scope: vault
  name: 'keep'
  properties: { level: 'CanNotDelete', notes: 'Holds secrets: remove this lock first.' }
}
