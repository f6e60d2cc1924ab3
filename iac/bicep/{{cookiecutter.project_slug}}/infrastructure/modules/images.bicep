// The registry of a workspace's images. Premium: the managed network reaches it through a private endpoint.

import { Context } from 'types.bicep'

@description('Its name, 5 to 50 letters and digits.')
@minLength(5)
@maxLength(50)
param name string

@description('What all parts need to know.')
param context Context

@description('Id of the Log Analytics workspace.')
param logs string

var open = empty(context.privateEndpoints.subnet)

resource images 'Microsoft.ContainerRegistry/registries@2025-04-01' = {
  name: name
  location: context.location
  tags: context.tags
  sku: { name: 'Premium' }
  properties: {
    adminUserEnabled: false
    anonymousPullEnabled: false
    publicNetworkAccess: open ? 'Enabled' : 'Disabled'
    networkRuleBypassOptions: 'AzureServices'
    networkRuleSet: {
      defaultAction: open && empty(context.allowedAddresses) ? 'Allow' : 'Deny'
      ipRules: map(context.allowedAddresses, address => { value: address, action: 'Allow' })
    }
    policies: { retentionPolicy: { status: 'enabled', days: 30 } }
  }
}

resource toLogs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: images
  name: 'to-logs'
  properties: {
    workspaceId: logs
    logs: [{ categoryGroup: 'allLogs', enabled: true }]
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}

resource lock 'Microsoft.Authorization/locks@2020-05-01' = if (context.protect) {
  scope: images
  name: 'keep'
  properties: { level: 'CanNotDelete', notes: 'Holds images in use: remove this lock first.' }
}
