# PSRule for Azure looks at what the Bicep or ARM files here would make, and leaves its findings in .mlops/psrule.
# It only reports, because which of its rules a team keeps is for that team to say, in ps-rule.yaml; -Gate makes it fail.
[CmdletBinding()]
param([switch] $Gate)

$ErrorActionPreference = 'Stop'
Set-Location -Path $PSScriptRoot # from where ps-rule.yaml and its paths are read
if (-not (Test-Path -Path 'ps-rule.yaml')) {
    Write-Output 'PSRule for Azure does not read Terraform: checkov looks at every plan.'
    exit 0
}
$kept = New-Item -ItemType Directory -Path '../.mlops/psrule' -Force

Install-PSResource -Name 'PSRule' -Version '2.9.0' -Repository 'PSGallery' -TrustRepository -Quiet
Install-PSResource -Name 'PSRule.Rules.Azure' -Version '1.47.0' -Repository 'PSGallery' -TrustRepository -Quiet
Import-Module -Name 'PSRule' -RequiredVersion '2.9.0'

# Findings are errors that end nothing unless they are told to; what keeps PSRule from working ends it always.
$ending = if ($Gate) { 'Stop' } else { 'Continue' }
Assert-PSRule -InputPath '.' -Format 'File' -Module 'PSRule.Rules.Azure' -Style 'Plain' `
    -OutputFormat 'Sarif' -OutputPath "$kept/psrule.sarif" -ErrorAction $ending *>&1 |
    Tee-Object -FilePath "$kept/psrule.txt"
