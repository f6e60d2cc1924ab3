@export()
@description('What every part of an environment needs to know.')
type Context = {
  environment: 'shared' | 'dev' | 'staging' | 'prod'
  location: string
  tags: { *: string }

  @description('Names by kind, as names.yml has them.')
  names: { *: string }

  @description('What is there already, by kind.')
  existing: object

  @description('How the model serves.')
  serving: 'online' | 'batch' | 'kubernetes'

  @description('E-mail addresses by persona.')
  contacts: { *: string[] }

  @description('How long logs are kept.')
  logDays: int

  lake: { zones: string[], cool_after_days: int, delete_bronze_after_days: int }
  allowedAddresses: string[]

  @description('Ids of a subnet and of the resource group with its DNS zones; empty without private endpoints.')
  privateEndpoints: { subnet: string, zones: string }

  budget: { monthly: int, spent: int[], forecast: int[], start: string }

  @description('Whether data, secrets and images are locked.')
  protect: bool

  @description('Where the identities and the registry are.')
  shared: { subscription: string, group: string, registry: string }
}

@export()
@description('Who gets which role on which kind of resource.')
type Grant = {
  @description('A kind, such as key_vault.')
  resource: string

  role: string
  roleId: string

  @description('A persona, or an identity of rbac.yml.')
  principal: string

  @description('The environment whose identity or service principal it is.')
  of: string

  @description('The id of a group or a service principal, empty for a managed identity.')
  id: string

  @description('The name of a managed identity that shared makes, empty for others.')
  identity: string

  type: 'Group' | 'ServicePrincipal'
}
