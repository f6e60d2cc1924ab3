// The Azure ML registry through which models go from one environment to the next.

import { Context } from 'types.bicep'

@description('Its name, 3 to 33 letters, digits and hyphens.')
@minLength(3)
@maxLength(33)
param name string

@description('What all parts need to know.')
param context Context

@description('Id of the Log Analytics workspace.')
param logs string

resource registry 'Microsoft.MachineLearningServices/registries@2025-06-01' = {
  name: name
  location: context.location
  tags: context.tags
  identity: { type: 'SystemAssigned' }
  properties: {
    publicNetworkAccess: empty(context.privateEndpoints.subnet) ? 'Enabled' : 'Disabled'
    regionDetails: [
      {
        location: context.location
        acrDetails: [{ systemCreatedAcrAccount: { acrAccountSku: 'Premium' } }]
        storageAccountDetails: [
          {
            systemCreatedStorageAccount: {
              storageAccountType: 'Standard_LRS'
              storageAccountHnsEnabled: false
              allowBlobPublicAccess: false
            }
          }
        ]
      }
    ]
  }
}

resource toLogs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: registry
  name: 'to-logs'
  properties: {
    workspaceId: logs
    logs: [{ categoryGroup: 'allLogs', enabled: true }]
  }
}
