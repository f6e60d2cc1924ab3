# Enterprise Policy as Code for policies/, as whoever the Azure CLI is signed in.
# `mlops infrastructure plan` and `apply --env shared` call it; they say what would change, and that only this is deployed.
[CmdletBinding()]
param(
    [Parameter(Mandatory)] [ValidateSet('plan', 'deploy')] [string] $Action,
    [Parameter(Mandatory)] [string] $Definitions,
    [Parameter(Mandatory)] [string] $Plans
)

$ErrorActionPreference = 'Stop'
$PSNativeCommandUseErrorActionPreference = $true # az that fails ends it too

Install-PSResource -Name 'Az.Accounts' -Version '5.5.5' -Repository 'PSGallery' -TrustRepository -Quiet
Install-PSResource -Name 'Az.ResourceGraph' -Version '1.2.1' -Repository 'PSGallery' -TrustRepository -Quiet
Install-PSResource -Name 'EnterprisePolicyAsCode' -Version '11.5.9' -Repository 'PSGallery' -TrustRepository -Quiet
Import-Module -Name 'Az.Accounts' -RequiredVersion '5.5.5'
Import-Module -Name 'Az.ResourceGraph' -RequiredVersion '1.2.1'
Import-Module -Name 'EnterprisePolicyAsCode' -RequiredVersion '11.5.9'

$account = az account show --output json | ConvertFrom-Json
$token = az account get-access-token --query accessToken --output tsv
$null = Connect-AzAccount -AccessToken $token -AccountId $account.user.name -Tenant $account.tenantId `
    -Subscription $account.id -Scope 'Process'

if ($Action -eq 'plan') {
    Build-DeploymentPlans -PacEnvironmentSelector 'shared' -DefinitionsRootFolder $Definitions -OutputFolder $Plans
    return
}
# Without its file the first of them would end the script, and the second would not be reached.
if (Test-Path -Path "$Plans/plans-shared/policy-plan.json") {
    Deploy-PolicyPlan -PacEnvironmentSelector 'shared' -DefinitionsRootFolder $Definitions -InputFolder $Plans
}
if (Test-Path -Path "$Plans/plans-shared/roles-plan.json") {
    Deploy-RolesPlan -PacEnvironmentSelector 'shared' -DefinitionsRootFolder $Definitions -InputFolder $Plans
}
