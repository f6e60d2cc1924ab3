// Log Analytics, and Application Insights where there is a workspace.

import { Context } from 'types.bicep'

@description('What all parts need to know.')
param context Context

@description('Whether Application Insights is made.')
param insights bool

resource logs 'Microsoft.OperationalInsights/workspaces@2025-02-01' = if (!contains(context.existing, 'log_analytics')) {
  name: context.names.log_analytics
  location: context.location
  tags: context.tags
  properties: {
    sku: { name: 'PerGB2018' }
    retentionInDays: context.logDays
    features: { disableLocalAuth: true, enableLogAccessUsingOnlyResourcePermissions: true }
  }
}

resource component 'Microsoft.Insights/components@2020-02-02' = if (insights && !contains(
  context.existing,
  'application_insights'
)) {
  name: context.names.application_insights
  location: context.location
  tags: context.tags
  kind: 'web'
  properties: {
    Application_Type: 'web'
    WorkspaceResourceId: logs.id
    IngestionMode: 'LogAnalytics'
    RetentionInDays: context.logDays
  }
}
