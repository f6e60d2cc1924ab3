// Managed identities, which never have a secret.

import { Context } from 'types.bicep'

@description('What all parts need to know.')
param context Context

@description('Their names.')
param names string[]

resource identities 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = [
  for name in names: {
    name: name
    location: context.location
    tags: context.tags
  }
]
