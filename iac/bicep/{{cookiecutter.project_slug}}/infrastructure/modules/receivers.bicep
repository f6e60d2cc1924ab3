// Who is told: an action group for each persona in infrastructure.contacts.

import { Context } from 'types.bicep'

@description('What all parts need to know.')
param context Context

var personas = objectKeys(context.contacts)

resource groups 'Microsoft.Insights/actionGroups@2023-01-01' = [
  for persona in personas: {
    name: '${context.names.action_group}-${replace(persona, '_', '-')}'
    location: 'Global'
    tags: context.tags
    properties: {
      enabled: true
      groupShortName: take(replace(persona, '_', ''), 12)
      emailReceivers: [
        for address in context.contacts[persona]: {
          name: address
          emailAddress: address
          useCommonAlertSchema: true
        }
      ]
    }
  }
]

@description('The names of the action groups.')
output names string[] = map(personas, persona => '${context.names.action_group}-${replace(persona, '_', '-')}')
