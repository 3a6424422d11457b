# From a fresh clone to the first picture: makes .venv, installs Framecast into it and runs `framecast demo`.
#
#   powershell -ExecutionPolicy Bypass -File start.ps1 [options of framecast demo]
$ErrorActionPreference = 'Stop'
Set-Location -LiteralPath $PSScriptRoot

$python = '.venv\Scripts\python.exe'
$stamp = '.venv\.installed-all'

if (-not (Test-Path -LiteralPath $python)) {
    $found = $false
    if (Get-Command py -ErrorAction SilentlyContinue) {
        & py -3 -c 'import sys; sys.exit(sys.version_info < (3, 11))'
        $found = $LASTEXITCODE -eq 0
    }
    if (-not $found) {
        Write-Host 'Framecast needs Python 3.11 or newer. Get it from python.org and start this again.'
        exit 1
    }
    & py -3 -m venv .venv
    if ($LASTEXITCODE -ne 0) { exit 1 }
}

$isOld = -not (Test-Path -LiteralPath $stamp)
if (-not $isOld) {
    $isOld = (Get-Item -LiteralPath 'pyproject.toml').LastWriteTime -gt (Get-Item -LiteralPath $stamp).LastWriteTime
}
if ($isOld) {
    Write-Host 'Installing Framecast and what it needs into .venv (about a minute)'
    & $python -m pip install --quiet --disable-pip-version-check --editable '.[all]'
    if ($LASTEXITCODE -ne 0) { exit 1 }
    Set-Content -LiteralPath $stamp -Value 'done'
}

& '.venv\Scripts\framecast.exe' demo @args
exit $LASTEXITCODE
