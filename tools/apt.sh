#!/bin/sh
# Install Debian packages: tools/apt.sh PACKAGE…   Says what to do where it may not, or where there is no apt.
set -eu

if ! command -v apt-get >/dev/null 2>&1; then
    echo "These are needed, please install them with your system's package manager: $*" >&2
    exit 1
fi
as_root=
if [ "$(id -u)" -ne 0 ]; then
    if ! sudo -n true 2>/dev/null && ! { [ -t 0 ] && command -v sudo >/dev/null 2>&1; }; then
        echo "These packages are needed; please run: sudo apt-get install -y $*" >&2
        exit 1
    fi
    as_root=sudo
fi
echo "Installing $*"
export DEBIAN_FRONTEND=noninteractive
# Where nobody looked for packages yet, or long ago, the names lead nowhere.
$as_root apt-get install -y --no-install-recommends "$@" >/dev/null 2>&1 || {
    $as_root apt-get update -q >/dev/null
    $as_root apt-get install -y --no-install-recommends "$@" >/dev/null
}
# What is here for the tests must not take the machine's ports, now or after its next start.
for unit in nginx caddy mosquitto; do
    case " $*" in
    *" $unit"*) $as_root systemctl disable --now "$unit" >/dev/null 2>&1 || true ;;
    esac
done
