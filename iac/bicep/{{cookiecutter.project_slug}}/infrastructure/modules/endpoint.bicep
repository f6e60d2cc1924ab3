// The logs and metrics of an endpoint that `mlops deploy` has made.

@description('Its name.')
param name string

@description('Name of the workspace.')
param workspaceName string

@description('How the model serves.')
@allowed(['online', 'batch', 'kubernetes'])
param serving string

@description('Id of the Log Analytics workspace.')
param logs string

resource workspace 'Microsoft.MachineLearningServices/workspaces@2025-06-01' existing = {
  name: workspaceName
}

resource endpoint 'Microsoft.MachineLearningServices/workspaces/onlineEndpoints@2025-06-01' existing = {
  parent: workspace
  name: name
}

resource toLogs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = if (serving != 'batch') {
  scope: endpoint
  name: 'to-logs'
  properties: {
    workspaceId: logs
    logs: [{ categoryGroup: 'allLogs', enabled: true }]
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}
