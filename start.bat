@echo off
rem From a fresh clone to the first picture: makes .venv, installs Framecast into it and runs "framecast demo".
setlocal
cd /d "%~dp0"

if not exist .venv\Scripts\python.exe (
    py -3 -c "import sys; sys.exit(sys.version_info < (3, 11))" 2>nul
    if errorlevel 1 (
        echo Framecast needs Python 3.11 or newer. Get it from python.org and start this again.
        exit /b 1
    )
    py -3 -m venv .venv || exit /b 1
)
rem The stamp is a copy of what was installed by: where they differ, as after an update, it is done anew.
fc /b pyproject.toml .venv\.installed-all >nul 2>nul
if errorlevel 1 (
    echo Installing Framecast and what it needs into .venv ^(about a minute^)
    .venv\Scripts\python.exe -m pip install --quiet --disable-pip-version-check --editable ".[all]" || exit /b 1
    copy /y pyproject.toml .venv\.installed-all >nul
)
.venv\Scripts\framecast.exe demo %*
