// Private endpoints into the team's own subnet, registered in its private DNS zones.

import { Context } from 'types.bicep'

@description('What all parts need to know.')
param context Context

@description('What they lead to: name, id, group and the names of its zones.')
param targets { name: string, id: string, group: string, zones: string[] }[]

resource endpoints 'Microsoft.Network/privateEndpoints@2024-07-01' = [
  for target in targets: {
    name: '${context.names.private_endpoint}-${target.name}'
    location: context.location
    tags: context.tags
    properties: {
      subnet: { id: context.privateEndpoints.subnet }
      privateLinkServiceConnections: [
        { name: target.name, properties: { privateLinkServiceId: target.id, groupIds: [target.group] } }
      ]
    }
  }
]

resource zones 'Microsoft.Network/privateEndpoints/privateDnsZoneGroups@2024-07-01' = [
  for (target, index) in targets: {
    parent: endpoints[index]
    name: 'default'
    properties: {
      privateDnsZoneConfigs: map(target.zones, zone => {
        name: replace(zone, '.', '-')
        properties: {
          privateDnsZoneId: '${context.privateEndpoints.zones}/providers/Microsoft.Network/privateDnsZones/${zone}'
        }
      })
    }
  }
]
