// A Kubernetes cluster with the Azure ML extension, attached to the workspace; or one that Azure Arc knows, attached.

import { Context } from 'types.bicep'

@description('What all parts need to know.')
param context Context

@description('Its settings in config: size, nodes, tls, arc.')
param settings { size: string, nodes: { min: int, max: int }, tls: { host: string, secret: string }, arc: string }

@description('Name of the workspace.')
param workspaceName string

@description('Name under which the workspace knows the cluster, 2 to 16 letters, digits and hyphens.')
@minLength(2)
@maxLength(16)
param computeName string

@description('Id of the identity of jobs.')
param identity string

@description('Id of the Log Analytics workspace.')
param logs string

var made = empty(settings.arc)

resource cluster 'Microsoft.ContainerService/managedClusters@2025-05-01' = if (made) {
  name: context.names.kubernetes
  location: context.location
  tags: context.tags
  sku: { name: 'Base', tier: 'Standard' }
  identity: { type: 'SystemAssigned' }
  properties: {
    dnsPrefix: context.names.kubernetes
    disableLocalAccounts: true
    enableRBAC: true
    aadProfile: { managed: true, enableAzureRBAC: true }
    oidcIssuerProfile: { enabled: true }
    securityProfile: { workloadIdentity: { enabled: true } }
    autoUpgradeProfile: { upgradeChannel: 'patch', nodeOSUpgradeChannel: 'NodeImage' }
    apiServerAccessProfile: {
      enablePrivateCluster: !empty(context.privateEndpoints.subnet)
      authorizedIPRanges: empty(context.privateEndpoints.subnet) ? context.allowedAddresses : []
    }
    networkProfile: { networkPlugin: 'azure', networkPluginMode: 'overlay', networkPolicy: 'cilium', networkDataplane: 'cilium' }
    addonProfiles: {
      azurepolicy: { enabled: true }
      azureKeyvaultSecretsProvider: { enabled: true, config: { enableSecretRotation: 'true' } }
      omsagent: { enabled: true, config: { logAnalyticsWorkspaceResourceID: logs, useAADAuth: 'true' } }
    }
    agentPoolProfiles: [
      {
        name: 'nodes'
        mode: 'System'
        osType: 'Linux'
        osSKU: 'AzureLinux'
        vmSize: settings.size
        count: settings.nodes.min
        minCount: settings.nodes.min
        maxCount: settings.nodes.max
        enableAutoScaling: true
        maxPods: 110
      }
    ]
  }
}

resource extension 'Microsoft.KubernetesConfiguration/extensions@2024-11-01' = if (made) {
  scope: cluster
  name: 'azureml'
  identity: { type: 'SystemAssigned' }
  properties: {
    extensionType: 'Microsoft.AzureML.Kubernetes'
    autoUpgradeMinorVersion: true
    releaseTrain: 'stable'
    scope: { cluster: { releaseNamespace: 'azureml' } }
    configurationSettings: {
      enableInference: 'True'
      enableTraining: 'False'
      inferenceRouterServiceType: 'LoadBalancer'
      allowInsecureConnections: 'False'
      sslCname: settings.tls.host
      sslSecret: settings.tls.secret
    }
  }
}

resource workspace 'Microsoft.MachineLearningServices/workspaces@2025-06-01' existing = {
  name: workspaceName
}

resource attached 'Microsoft.MachineLearningServices/workspaces/computes@2025-06-01' = {
  parent: workspace
  name: computeName
  location: context.location
  tags: context.tags
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: { '${identity}': {} }
  }
  properties: {
    computeType: 'Kubernetes'
    resourceId: made ? cluster.id : settings.arc
    disableLocalAuth: true
    properties: { namespace: 'default' }
  }
  dependsOn: [extension]
}

resource toLogs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = if (made) {
  scope: cluster
  name: 'to-logs'
  properties: {
    workspaceId: logs
    logs: [{ categoryGroup: 'audit', enabled: true }]
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}
