// What Azure Monitor watches: alerts.yml says what, config from which number on.

import { Context } from 'types.bicep'

@description('What all parts need to know.')
param context Context

@description('Ids of the action groups by persona.')
param receivers { *: string }

@description('Limits by their name in alerts.yml.')
param limits { *: int }

@description('Ids of Log Analytics, and of what metrics are watched of, by kind; what is not there is left out.')
param watched { *: string }

@description('Id of the identity with which queries run.')
param identity string

@description('Name of the workspace, for the title of the workbook.')
param workspaceName string

var alerts = any(loadYamlContent('../alerts.yml'))
// A path cannot be computed, so that every query is named.
var queries = {
  capacity: loadTextContent('../queries/capacity.kql')
  client_errors: loadTextContent('../queries/client_errors.kql')
  failed_jobs: loadTextContent('../queries/failed_jobs.kql')
  key_use: loadTextContent('../queries/key_use.kql')
  latency: loadTextContent('../queries/latency.kql')
  network: loadTextContent('../queries/network.kql')
  ongoing_service: loadTextContent('../queries/ongoing_service.kql')
  queue_time: loadTextContent('../queries/queue_time.kql')
  refused_callers: loadTextContent('../queries/refused_callers.kql')
  requests: loadTextContent('../queries/requests.kql')
  server_errors: loadTextContent('../queries/server_errors.kql')
  staleness: loadTextContent('../queries/staleness.kql')
  throttling: loadTextContent('../queries/throttling.kql')
  unused: loadTextContent('../queries/unused.kql')
}

// Those of this environment and of how the model serves here.
var ours = filter(items(alerts.logs), alert => contains(alert.value.?serving ?? [context.serving], context.serving))
var onLogs = filter(ours, alert => contains(alert.value.in, context.environment) && contains(alert.value, 'window'))
var onMetrics = filter(
  items(alerts.metrics),
  alert =>
    contains(alert.value.?serving ?? [context.serving], context.serving) && contains(
      alert.value.in,
      context.environment
    ) && contains(watched, alert.value.of)
)

resource logRules 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = [
  for alert in onLogs: {
    name: '${context.names.alert}-${replace(alert.key, '_', '-')}'
    location: context.location
    tags: context.tags
    kind: 'LogAlert'
    identity: {
      type: 'UserAssigned'
      userAssignedIdentities: { '${identity}': {} }
    }
    properties: {
      displayName: alert.value.text
      description: alert.value.text
      enabled: true
      autoMitigate: true
      severity: alert.value.severity
      scopes: [watched.log_analytics]
      evaluationFrequency: alert.value.every
      windowSize: alert.value.window
      skipQueryValidation: true // a table is there from its first row on
      criteria: {
        allOf: [
          {
            query: queries[alert.value.query]
            metricMeasureColumn: alert.value.measure
            timeAggregation: alert.value.when == 'GreaterThan' ? 'Maximum' : 'Minimum'
            operator: alert.value.when
            threshold: limits[alert.value.limit]
            failingPeriods: { numberOfEvaluationPeriods: 1, minFailingPeriodsToAlert: 1 }
          }
        ]
      }
      actions: { actionGroups: map(alert.value.tell, persona => receivers[persona]) }
    }
  }
]

resource metricRules 'Microsoft.Insights/metricAlerts@2018-03-01' = [
  for alert in onMetrics: {
    name: '${context.names.alert}-${replace(alert.key, '_', '-')}'
    location: 'global'
    tags: context.tags
    properties: {
      description: alert.value.text
      enabled: true
      autoMitigate: true
      severity: alert.value.severity
      scopes: [watched[alert.value.of]]
      evaluationFrequency: alert.value.every
      windowSize: alert.value.window
      criteria: {
        'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
        allOf: [
          {
            name: alert.key
            criterionType: 'StaticThresholdCriterion'
            metricName: alert.value.metric
            timeAggregation: alert.value.aggregation
            operator: alert.value.when
            threshold: limits[alert.value.limit]
            skipMetricValidation: true
          }
        ]
      }
      actions: map(alert.value.tell, persona => { actionGroupId: receivers[persona] })
    }
  }
]

// A page with a table for each query, over the time that the reader chooses.
resource workbook 'Microsoft.Insights/workbooks@2023-06-01' = {
  name: guid(resourceGroup().id, 'workbook')
  location: context.location
  tags: context.tags
  kind: 'shared'
  properties: {
    displayName: '${workspaceName}: usage, infrastructure, cost'
    category: 'workbook'
    sourceId: watched.log_analytics
    version: '1.0'
    serializedData: string({
      version: 'Notebook/1.0'
      items: concat(
        [
          {
            type: 9
            name: 'time'
            content: {
              version: 'KqlParameterItem/1.0'
              parameters: [{ name: 'time', type: 4, isRequired: true, value: { durationMs: 86400000 } }]
            }
          }
        ],
        map(ours, alert => {
          type: 3
          name: alert.key
          content: {
            version: 'KqlItem/1.0'
            title: alert.value.text
            query: queries[alert.value.query]
            queryType: 0
            resourceType: 'microsoft.operationalinsights/workspaces'
            timeContextFromParameter: 'time'
            size: 1
          }
        })
      )
      fallbackResourceIds: [watched.log_analytics]
    })
  }
}

@description('Names of the rules on logs.')
output logAlerts string[] = map(onLogs, alert => '${context.names.alert}-${replace(alert.key, '_', '-')}')

@description('Names of the rules on metrics.')
output metricAlerts string[] = map(onMetrics, alert => '${context.names.alert}-${replace(alert.key, '_', '-')}')
