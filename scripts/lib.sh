# shellcheck shell=bash
# What the scripts share: packages, builds, ports, and the counting of checks. To be sourced, by
# bash, under "set -euo pipefail".

unset CDPATH
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
self=$(basename "$0")
# shellcheck disable=SC2034 # used by the scripts that source this file
cores=$(nproc)
export LC_ALL=C.UTF-8
# Debian's daemons are in sbin, which is not on everybody's path.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

bold='' dim='' red='' green='' plain=''
if [[ -t 1 && -z ${NO_COLOR:-} && ${TERM:-dumb} != dumb ]]; then
    bold=$'\e[1m' dim=$'\e[2m' red=$'\e[31m' green=$'\e[32m' plain=$'\e[0m'
fi

# What a clone needs to be built.
# shellcheck disable=SC2034 # used by the scripts that source this file
build_packages=(gcc libc6-dev cmake ninja-build pkg-config python3
                libwebsockets-dev libssl-dev libcjson-dev libmicrohttpd-dev
                libcmocka-dev)

# step TITLE TEXT: one line of what is being done.
step()
{
    printf '%s%-12s%s %s\n' "$bold" "$1" "$plain" "$2"
}

# die TEXT...: the first line with the script's name, the rest below it.
die()
{
    printf '%s%s:%s %s\n' "$red" "$self" "$plain" "$1" >&2
    shift
    (($# == 0)) || printf '%s\n' "$@" >&2
    exit 1
}

# show_tail TITLE FILE [LINES]: the end of a log, indented.
show_tail()
{
    printf '%s--- %s%s\n' "$dim" "$1" "$plain"
    [[ ! -f $2 ]] || tail -n "${3:-60}" "$2" | sed 's/^/    /'
}

now_ms()
{
    local now=${EPOCHREALTIME/[.,]/}
    printf '%s' $((now / 1000))
}

# seconds_since MILLISECONDS: "12.3 s"
seconds_since()
{
    local tenths=$((($(now_ms) - $1 + 50) / 100))
    printf '%d.%d s' $((tenths / 10)) $((tenths % 10))
}

# missing_packages PACKAGE...: those that are not installed, one a line.
missing_packages()
{
    local there package
    there=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' "$@" 2>/dev/null || true)
    for package; do
        grep -qxF "$package installed" <<<"$there" || printf '%s\n' "$package"
    done
}

# install_packages PACKAGE...: installs what is missing, as root or through sudo. Asks nothing,
# but for the password that sudo may want on a terminal.
install_packages()
{
    local missing log=$root/build/packages.log as_root=()
    command -v dpkg-query >/dev/null ||
        die "this is no Debian system, so packages can't be installed here." \
            "Read the list of packages in scripts/lib.sh and build with CMake (see README)."
    mapfile -t missing < <(missing_packages "$@")
    if ((${#missing[@]} == 0)); then
        step packages "all there"
        return
    fi
    if ((EUID != 0)); then
        as_root=(sudo)
        [[ -t 0 ]] || as_root=(sudo -n)
        if ! command -v sudo >/dev/null || { [[ ! -t 0 ]] && ! sudo -n true 2>/dev/null; }; then
            die "these Debian packages are missing, and installing them takes root or sudo:" "" \
                "    apt-get install --no-install-recommends ${missing[*]}" ""
        fi
    fi
    as_root+=(env DEBIAN_FRONTEND=noninteractive)
    step packages "installing ${missing[*]}"
    mkdir -p "$root/build"
    {
        # Stale lists may still do; apt-get install tells.
        "${as_root[@]}" apt-get update || true
        # Unattended upgrades of a machine just started may hold dpkg's lock for a while.
        "${as_root[@]}" apt-get install -y --no-install-recommends -o DPkg::Lock::Timeout=300 \
            "${missing[@]}"
    } >"$log" 2>&1 || {
        show_tail "apt-get" "$log"
        die "could not install: ${missing[*]}"
    }
}

# need_writable_build: a clone that somebody else has built in can't be built in.
need_writable_build()
{
    mkdir -p "$root/build" 2>/dev/null || true
    [[ -w $root/build ]] || die "$root/build can't be written to by $(id -un)"
}

# configure_and_build PRESET TARGETS [CMAKE-OPTION...]: TARGETS is a list of words, or "all".
configure_and_build()
{
    local preset=$1 targets
    read -ra targets <<<"$2"
    shift 2
    cd "$root"
    cmake --preset "$preset" "$@" && cmake --build --preset "$preset" --target "${targets[@]}"
}

# port_in_use udp|tcp PORT: bound (UDP) or listened on (TCP) at any address of this machine.
port_in_use()
{
    local table files=() state='[0-9A-F]{2}'
    [[ $1 == udp ]] || state=0A
    for table in "/proc/net/$1" "/proc/net/${1}6"; do
        [[ ! -r $table ]] || files+=("$table")
    done
    grep -qE "^ *[0-9]+: [0-9A-F]+:$(printf '%04X' "$2") [0-9A-F]+:[0-9A-F]+ $state " "${files[@]}"
}

# wait_until SECONDS COMMAND...: 0 as soon as the command succeeds, 1 when the time is over.
wait_until()
{
    local end=$(($(now_ms) + $1 * 1000))
    shift
    until "$@"; do
        (($(now_ms) < end)) || return 1
        sleep 0.05
    done
}

# started_at PID: when the kernel started this process, so that a number used again is noticed.
started_at()
{
    local stat
    stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
    stat=${stat##*) }
    cut -d ' ' -f 20 <<<"$stat"
}

# is_running PID STARTED-AT: a dead child that nobody has waited for does not run.
is_running()
{
    [[ $(started_at "$1") == "$2" ]] &&
        ! grep -q '^State:[[:space:]]*Z' "/proc/$1/status" 2>/dev/null
}

has_stopped()
{
    ! is_running "$1" "$2"
}

# stop_process PID STARTED-AT: asks it to end, and insists after three seconds.
stop_process()
{
    is_running "$1" "$2" || return 0
    kill -TERM "$1" 2>/dev/null || true
    wait_until 3 has_stopped "$1" "$2" || kill -KILL "$1" 2>/dev/null || true
}

# --- checks that are counted ---------------------------------------------------------------------

passed=0 failed=0 skipped=0
check_status=0
check_log=

# check_log_of TITLE: where the output of this check goes.
check_log_of()
{
    printf '%s/build/check/%s.log' "$root" "$(tr -cs 'A-Za-z0-9.-' _ <<<"$1" | sed 's/_$//')"
}

begin_check()
{
    check_log=$(check_log_of "$1")
    mkdir -p "$root/build/check"
    printf '%-58s ' "$1"
}

# end_check SECONDS TEXT: the result of the check in check_status, and what it printed if it failed.
end_check()
{
    if ((check_status == 0)); then
        printf '%sok%s      %8s  %s\n' "$green" "$plain" "$1" "$2"
        return
    fi
    printf '%sfailed%s  %8s  %s\n' "$red" "$plain" "$1" "$2"
    # Without the lines of what went well: of ninja and CMake, ctest, cmocka.
    grep -vE -e '^\[[0-9]+/[0-9]+\] |^-- |^ *Start +[0-9]+: |^ *[0-9]+/[0-9]+ Test .* Passed ' \
        -e '^\[ RUN  |^\[  *OK \]|^\[  PASSED|^\[==========\] Running' "$check_log" |
        tail -n 120 | sed 's/^/    /' || true
    printf '    %s(all of it: %s)%s\n' "$dim" "$check_log" "$plain"
}

count_check()
{
    if ((check_status == 0)); then passed=$((passed + 1)); else failed=$((failed + 1)); fi
}

# run_check COMMAND...: its output in check_log, its status in check_status.
run_check()
{
    set +e
    (set -e; "$@") >"$check_log" 2>&1 </dev/null
    check_status=$?
    set -e
}

# check TITLE COMMAND...: one check. Silent unless it fails; always returns 0 (see check_status).
check()
{
    local title=$1 started
    shift
    started=$(now_ms)
    begin_check "$title"
    run_check "$@"
    count_check
    end_check "$(seconds_since "$started")" ""
}

# check_beside TITLE PROGRAM...: starts a check that takes processor time while others take time
# to wait, with the lowest priority and in a process group of its own. collect_checks counts it.
beside_titles=() beside_pids=()
check_beside()
{
    local title=$1 log
    shift
    log=$(check_log_of "$title")
    mkdir -p "$root/build/check"
    # shellcheck disable=SC2016 # expanded by the inner shell
    setsid nice -n 19 bash -c '
        log=$1 status=0
        shift
        SECONDS=0
        "$@" >"$log" 2>&1 || status=$?
        echo "$SECONDS.0 s" >"$log.seconds"
        exit "$status"' check "$log" "$@" </dev/null >/dev/null 2>&1 &
    beside_titles+=("$title")
    beside_pids+=("$!")
}

collect_checks()
{
    local i
    for i in "${!beside_pids[@]}"; do
        begin_check "${beside_titles[i]}"
        check_status=0
        wait "${beside_pids[i]}" || check_status=$?
        unset "beside_pids[i]"
        count_check
        end_check "$(cat "$check_log.seconds" 2>/dev/null || true)" "beside the others"
    done
    beside_titles=() beside_pids=()
}

# abandon_checks: for a trap.
abandon_checks()
{
    local pid
    for pid in "${beside_pids[@]}"; do
        kill -TERM -- "-$pid" 2>/dev/null || true
    done
}

# skip_check TITLE WHY
skip_check()
{
    printf '%-58s skipped            %s\n' "$1" "$2"
    skipped=$((skipped + 1))
}

# junit_count FILE ATTRIBUTE: of the first test suite, as ctest writes it.
junit_count()
{
    local count
    count=$(grep -oE "\b$2=\"[0-9]+\"" "$1" 2>/dev/null | head -n 1 | grep -oE '[0-9]+') || true
    printf '%d' "${count:-0}"
}

# check_ctest TITLE PRESET CTEST-OPTION...: as many checks as ctest has tests.
check_ctest()
{
    local title=$1 preset=$2 started results all bad left_out
    shift 2
    started=$(now_ms)
    begin_check "$title"
    results=${check_log%.log}.xml
    rm -f "$results"
    set +e
    (cd "$root" && ctest --preset "$preset" -j2 --output-on-failure --no-tests=error \
        --output-junit "$results" "$@") >"$check_log" 2>&1 </dev/null
    check_status=$?
    set -e
    all=$(junit_count "$results" tests)
    bad=$(junit_count "$results" failures)
    left_out=$(($(junit_count "$results" skipped) + $(junit_count "$results" disabled)))
    # ctest that fails without a failed test has found no test, or has itself failed.
    if ((check_status != 0 && bad == 0)); then
        all=$((all + 1)) bad=1
    fi
    passed=$((passed + all - bad - left_out))
    failed=$((failed + bad))
    skipped=$((skipped + left_out))
    end_check "$(seconds_since "$started")" "$((all - bad - left_out)) of $all tests"
}

# closing_counts: the last line. The status is that of the whole.
closing_counts()
{
    local text="$passed passed, $failed failed"
    ((skipped == 0)) || text+=", $skipped skipped"
    printf '%s\n' "$text"
    ((failed == 0))
}
