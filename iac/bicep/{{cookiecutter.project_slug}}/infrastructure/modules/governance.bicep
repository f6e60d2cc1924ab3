// What a resource group costs and which policies watch it.

import { Context } from 'types.bicep'

@description('What all parts need to know.')
param context Context

@description('Ids of the action groups by persona.')
param receivers { *: string }

var alerts = any(loadYamlContent('../alerts.yml', '$.budget'))
var policies = any(loadYamlContent('../policies.yml'))
var budget = context.budget

// A tier is a share of the budget, spent or forecast.
var tiers = concat(
  map(budget.spent, percent => { percent: percent, kind: 'Actual', tell: alerts.spent }),
  map(budget.forecast, percent => { percent: percent, kind: 'Forecasted', tell: alerts.forecast })
)

resource spending 'Microsoft.Consumption/budgets@2024-08-01' = {
  name: context.names.budget
  properties: {
    category: 'Cost'
    amount: budget.monthly
    timeGrain: 'Monthly'
    timePeriod: { startDate: '${budget.start}T00:00:00Z' }
    notifications: toObject(tiers, tier => '${tier.kind}-${tier.percent}', tier => {
      enabled: true
      operator: 'GreaterThanOrEqualTo'
      threshold: tier.percent
      thresholdType: tier.kind
      contactEmails: []
      contactGroups: map(tier.tell, persona => receivers[persona])
    })
  }
}

resource assignments 'Microsoft.Authorization/policyAssignments@2025-03-01' = [
  for policy in items(policies): {
    name: '${context.names.policy}-${replace(policy.key, '_', '-')}'
    properties: {
      displayName: policy.value.title
      policyDefinitionId: tenantResourceId('Microsoft.Authorization/policyDefinitions', policy.value.id)
      parameters: toObject(
        items(policy.value.?parameters ?? {}),
        parameter => parameter.key,
        parameter => { value: parameter.value }
      )
    }
  }
]
