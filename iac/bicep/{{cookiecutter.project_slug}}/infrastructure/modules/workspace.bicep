// The Azure ML workspace in its managed network, with clusters and datastores.

import { Context } from 'types.bicep'

@description('Its name, 3 to 33 letters, digits and hyphens.')
@minLength(3)
@maxLength(33)
param name string

@description('What all parts need to know.')
param context Context

@description('Ids of Log Analytics, Application Insights, the key vault, the storage account and the registry of images.')
param parts { logs: string, insights: string, vault: string, storage: string, images: string }

@description('Whether there is a workspace of this name already, which is then left as it is.')
param existing bool

@description('Hosts that jobs and containers may reach, by what they are for.')
param outbound { *: string[] }

@description('Size of the firewall behind the outbound rules.')
@allowed(['Standard', 'Basic'])
param firewall string

@description('The lake: subscription, group and name.')
param lake { subscription: string, group: string, name: string }

@description('The identities of the workspace and of jobs: their ids.')
param identities { *: string }

@description('Clusters by name: size and the most nodes.')
param clusters { *: { size: string, nodes: int } }

var lakeId = resourceId(lake.subscription, lake.group, 'Microsoft.Storage/storageAccounts', lake.name)
var registryId = resourceId(
  context.shared.subscription,
  context.shared.group,
  'Microsoft.MachineLearningServices/registries',
  context.shared.registry
)
var hosts = flatten(map(
  items(outbound),
  purpose =>
    map(
      range(0, length(purpose.value)),
      index => { name: '${replace(purpose.key, '_', '-')}-${index + 1}', host: purpose.value[index] }
    )
))
var privately = [
  { name: 'lake-blob', id: lakeId, target: 'blob' }
  { name: 'lake-dfs', id: lakeId, target: 'dfs' }
  { name: 'registry', id: registryId, target: 'amlregistry' }
]

resource workspace 'Microsoft.MachineLearningServices/workspaces@2025-06-01' = if (!existing) {
  name: name
  location: context.location
  tags: context.tags
  kind: 'Default'
  sku: { name: 'Basic', tier: 'Basic' }
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: { '${identities.workspace}': {} }
  }
  properties: {
    friendlyName: name
    primaryUserAssignedIdentity: identities.workspace
    storageAccount: parts.storage
    keyVault: parts.vault
    containerRegistry: parts.images
    applicationInsights: parts.insights
    systemDatastoresAuthMode: 'Identity'
    publicNetworkAccess: empty(context.privateEndpoints.subnet) ? 'Enabled' : 'Disabled'
    v1LegacyMode: false
    imageBuildCompute: objectKeys(clusters)[0]
    serverlessComputeSettings: { serverlessComputeNoPublicIP: true }
    provisionNetworkNow: true
    managedNetwork: {
      isolationMode: 'AllowOnlyApprovedOutbound'
      firewallSku: firewall
      outboundRules: union(
        toObject(hosts, rule => rule.name, rule => { type: 'FQDN', category: 'UserDefined', destination: rule.host }),
        toObject(privately, rule => rule.name, rule => {
          type: 'PrivateEndpoint'
          category: 'UserDefined'
          destination: { serviceResourceId: rule.id, subresourceTarget: rule.target, sparkEnabled: true }
        })
      )
    }
  }
}

resource computes 'Microsoft.MachineLearningServices/workspaces/computes@2025-06-01' = [
  for cluster in items(clusters): {
    parent: workspace
    name: cluster.key
    location: context.location
    tags: context.tags
    identity: {
      type: 'UserAssigned'
      userAssignedIdentities: { '${identities.compute}': {} }
    }
    properties: {
      computeType: 'AmlCompute'
      disableLocalAuth: true
      properties: {
        osType: 'Linux'
        vmSize: cluster.value.size
        vmPriority: 'Dedicated'
        enableNodePublicIp: false
        remoteLoginPortPublicAccess: 'Disabled'
        scaleSettings: { minNodeCount: 0, maxNodeCount: cluster.value.nodes, nodeIdleTimeBeforeScaleDown: 'PT5M' }
      }
    }
  }
]

// Who reads or writes there does so with an identity of its own: no credentials are kept.
resource datastores 'Microsoft.MachineLearningServices/workspaces/datastores@2025-06-01' = [
  for zone in context.lake.zones: {
    parent: workspace
    name: replace(zone, '-', '_')
    properties: {
      datastoreType: 'AzureDataLakeGen2'
      accountName: lake.name
      filesystem: zone
      subscriptionId: lake.subscription
      resourceGroup: lake.group
      serviceDataAccessAuthIdentity: 'None'
      credentials: { credentialsType: 'None' }
    }
  }
]

resource toLogs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: workspace
  name: 'to-logs'
  properties: {
    workspaceId: parts.logs
    logs: [{ categoryGroup: 'allLogs', enabled: true }]
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}
