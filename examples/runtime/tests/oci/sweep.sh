# Kills the runtime at the system calls that standard input names, one `VERB CALL NUMBER` a line, and says what a forced
# delete leaves behind. Runs alone in a corner: every process, group and file there is the runtime's.
runtime=$1
oci() { timeout -k 1 60 "$runtime" --root "$PWD/state" "$@"; }
kept() {
    find /sys/fs/cgroup -type d | sort
    wc -l </proc/1/mountinfo
    find state run-files -mindepth 1 2>/dev/null
    ls /run /tmp /dev/shm
}
processes() { for p in /proc/[0-9]*; do p=${p#/proc/}; [ $p = $$ ] || [ $p = 1 ] || [ "$(cut -d' ' -f4 /proc/$p/stat 2>/dev/null)" = $$ ] || readlink /proc/$p/exe; done 2>/dev/null; }
# Waits for a hundredth of a second without a process.
mkfifo pipe && exec 8<>pipe
nap() { read -rt 0.01 -u 8; }
# The traced program is the child here, and the tracer somewhere: it would follow the container's first process for as
# long as that lives, so it is let go.
traced() {
    strace -D -f -qq -o trace "$@" </dev/null >/dev/null 2>&1 &
    limit=0
    while [ -d /proc/$! ]; do
        nap
        limit=$((limit + 1))
        if [ $limit -gt 9000 ]; then
            echo "HANGS $*"
            kill -KILL $!
        fi
    done
    for process in /proc/[0-9]*; do
        if [ "$(cat $process/comm)" = strace ]; then kill -TERM ${process#/proc/}; fi
    done
    wait
} 2>/dev/null
if [ "$2" = trace ]; then
    traced "$runtime" --root "$PWD/state" "$3" victim
    cat trace
    exit
fi
oci run warm </dev/null >/dev/null 2>&1
kept >before
while read -r verb call number; do
    traced -e "trace=$call" -e "inject=$call:signal=KILL:when=$number" "$runtime" --root "$PWD/state" "$verb" victim
    said=$(oci delete --force victim 2>&1) || echo "DELETE $verb $call $number: $said"
    tries=0
    # What has been killed is dead soon.
    until kept >after; cmp -s before after && [ -z "$(processes)" ]; do
        tries=$((tries + 1))
        if [ $tries -gt 3000 ]; then
            echo "LEFT $verb $call $number: $(diff before after | tr '\n' ' ') $(processes | tr '\n' ' ')"
            for p in /proc/[0-9]*; do p=${p#/proc/}; [ $p = $$ ] || [ $p = 1 ] || kill -KILL $p; done 2>/dev/null
            sleep 0.1
            kept >before
            break
        fi
        nap
    done
    echo "TRIED $verb $call $number"
done
