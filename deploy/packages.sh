# Sourced by ./skep and ./test: installs the Debian or Ubuntu packages that commands come from.
# Services of the packages are neither started now (policy-rc.d) nor at the next boot: Skep runs its own.

# need_packages SUDO COMMAND=PACKAGE...: installs the packages whose command is not there; SUDO is a command prefix, or empty.
# PACKAGE may be a choice, A/B: the first one that this release has.
need_packages() {
    local sudo=$1 pair missing=()
    shift
    for pair in "$@"; do
        command -v "${pair%%=*}" >/dev/null || [ -x "/usr/sbin/${pair%%=*}" ] || missing+=("${pair#*=}")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    mapfile -t missing < <(printf '%s\n' "${missing[@]}" | sort -u)
    command -v apt-get >/dev/null || { echo "missing, and there is no apt-get to install them with: ${missing[*]}" >&2; return 1; }
    echo "installing ${missing[*]}" >&2
    local policy=/usr/sbin/policy-rc.d made=0 result=0 package
    if [ ! -e $policy ]; then
        printf '#!/bin/sh\nexit 101\n' | $sudo tee $policy >/dev/null && $sudo chmod 755 $policy && made=1
    fi
    $sudo apt-get update -qq </dev/null >/dev/null || result=1
    for package in "${!missing[@]}"; do
        while [[ ${missing[package]} == */* ]] && ! apt-cache show "${missing[package]%%/*}" >/dev/null 2>&1; do missing[package]=${missing[package]#*/}; done
        missing[package]=${missing[package]%%/*}
    done
    [ $result = 0 ] && $sudo env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=120 install -y -qq --no-install-recommends "${missing[@]}" </dev/null >/dev/null || result=1
    [ $made = 0 ] || $sudo rm -f $policy
    for package in "${missing[@]}"; do
        case $package in nginx* | prometheus) $sudo systemctl disable -q "${package%-light}" 2>/dev/null || true ;; esac
    done
    [ $result = 0 ] || echo "installing failed: ${missing[*]}" >&2
    return $result
}
