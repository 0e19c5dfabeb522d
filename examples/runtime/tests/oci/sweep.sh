# Kills the runtime at the system calls that standard input names, one `VERB CALL NUMBER` a line, and says what a forced
# delete leaves behind. Runs alone in a corner: every process, group and file there is the runtime's.
runtime=$1
oci() { timeout -k 1 20 "$runtime" --root "$PWD/state" "$@"; }
kept() {
    find /sys/fs/cgroup -type d | sort
    wc -l </proc/1/mountinfo
    find state run-files -mindepth 1 2>/dev/null
    ls /run /tmp /dev/shm
}
processes() { for p in /proc/[0-9]*; do p=${p#/proc/}; [ $p = $$ ] || [ $p = 1 ] || [ "$(cut -d' ' -f4 /proc/$p/stat 2>/dev/null)" = $$ ] || readlink /proc/$p/exe; done 2>/dev/null; }
traced() {
    strace -f -qq -o /dev/null -e "trace=$2" -e "inject=$2:signal=KILL:when=$3" "$runtime" --root "$PWD/state" "$1" victim \
        </dev/null >/dev/null 2>&1 &
    tracer=$!
    # The tracer would follow the container's first process for as long as that lives: it is let go.
    limit=0
    while [ -n "$(cat /proc/$tracer/task/$tracer/children 2>/dev/null)" ]; do
        sleep 0.01
        limit=$((limit + 1))
        if [ $limit -gt 1500 ]; then echo "HANGS $*"; kill -KILL $(cat /proc/$tracer/task/$tracer/children); fi
    done
    kill -TERM $tracer 2>/dev/null
    wait $tracer
} 2>/dev/null
oci run warm </dev/null >/dev/null 2>&1
kept >before
while read -r verb call number; do
    traced "$verb" "$call" "$number"
    said=$(oci delete --force victim 2>&1) || echo "DELETE $verb $call $number: $said"
    tries=0
    # What has been killed is dead soon.
    until kept >after; cmp -s before after && [ -z "$(processes)" ]; do
        tries=$((tries + 1))
        if [ $tries -gt 100 ]; then
            echo "LEFT $verb $call $number: $(diff before after | tr '\n' ' ') $(processes | tr '\n' ' ')"
            for p in /proc/[0-9]*; do p=${p#/proc/}; [ $p = $$ ] || [ $p = 1 ] || kill -KILL $p; done 2>/dev/null
            sleep 0.1
            kept >before
            break
        fi
        sleep 0.02
    done
    echo "TRIED $verb $call $number"
done
