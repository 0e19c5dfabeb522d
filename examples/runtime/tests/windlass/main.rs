//! The verbs of `windlass`, as a person types them.

mod build;
mod files;
mod home;
mod images;
mod io;
mod lifecycle;
mod network;
mod pack;
mod registry;
mod rootless;
mod run;

use std::process::ExitCode;

use trial::{Test, need};

/// A whole disk, by its name and number.
fn first_disk() -> Option<(String, String)> {
    let disks = std::fs::read_dir("/sys/block").ok()?.flatten();
    let mut names: Vec<String> = disks.filter_map(|disk| disk.file_name().into_string().ok()).collect();
    names.sort();
    names.into_iter().find_map(|name| {
        let number = std::fs::read_to_string(format!("/sys/block/{name}/dev")).ok()?;
        let is_there = std::path::Path::new("/dev").join(&name).exists();
        is_there.then(|| (name, number.trim().to_owned()))
    })
}

fn disk() -> Result<(), String> {
    first_disk().map(drop).ok_or_else(|| "needs a block device in /dev".to_owned())
}

fn user_namespaces() -> Result<(), String> {
    let limit = std::fs::read_to_string("/proc/sys/user/max_user_namespaces").unwrap_or_default();
    if limit.trim().parse::<u64>().is_ok_and(|limit| limit > 0) { Ok(()) } else { Err("needs user namespaces".into()) }
}

macro_rules! tests {
    ($need:expr => $($module:ident: $($name:ident),* $(,)?);* $(;)?) => {
        vec![$($(
            Test::new(concat!(stringify!($module), "::", stringify!($name)), $module::$name)
                .needs($need)
                .needs(need::path("/bin/busybox"))
        ),*),*]
    };
}

fn main() -> ExitCode {
    let mut tests = tests! { need::root =>
        run: pack_run_and_remove, exit_codes, output_keeps_its_streams, the_container_is_isolated,
            containers_do_not_share_their_layer, system_calls_are_filtered, environment, users_are_looked_up_inside,
            cve_2016_3697_a_numeric_name_is_not_looked_up, cve_2024_40635_a_uid_does_not_wrap,
            the_working_directory_is_made, hostname_and_entrypoint, capabilities, no_new_privileges, privileged,
            ulimits, memory_and_processes_are_limited, limits_reach_the_kernel, signals_reach_the_program,
            an_init_reaps, landlock_confines, a_policy_of_a_file_decides, wrong_input_is_named;
        lifecycle: create_start_stop_rm, names_are_unique, stop_kills_who_does_not_listen,
            stop_sends_the_containers_signal, kill_sends_any_signal, wait_prints_the_exit_code, restart_begins_anew,
            pause_freezes, update_changes_limits, a_removed_one_is_gone_after_its_end,
            on_failure_is_tried_again_so_often, always_ends_when_stopped, ps_lists_and_filters,
            top_and_stats_count_processes, a_container_outlives_its_monitor_and_ps_says_so,
            a_lost_end_is_told_and_started_again, a_killed_monitor_is_not_taken_for_another_process,
            prune_removes_what_nothing_uses;
        io: logs_show_both_streams_and_their_tail, logs_are_docker_json, logs_follow_until_the_end, logs_rotate,
            input_and_output_are_binary_and_whole, attach_joins_a_running_one, start_attached_ends_as_the_container,
            a_terminal_is_one_inside, ctrl_c_reaches_the_programs_terminal, detach_keys_leave_it_running,
            a_terminal_is_refused_where_there_is_none, exec_runs_beside, exec_is_limited_with_the_container,
            exec_passes_input_and_gives_a_terminal;
        files: binds_carry_data, named_volumes_outlive_their_containers, the_images_volumes_begin_with_its_content,
            tmpfs_is_memory, copies_go_both_ways, copies_are_tar_streams, copies_follow_no_link_out,
            diff_lists_what_the_program_changed, commit_makes_an_image, commit_of_a_running_one_is_whole;
        build: building_twice_gives_the_same_bytes, steps_that_would_do_the_same_are_not_done, what_fails_has_its_place,
            what_a_killed_build_left_goes;
        images: names_are_given_and_taken, history_tells_each_step, archives_come_back_elsewhere,
            what_nothing_names_is_collected;
        network: host_and_none, containers_on_the_bridge_reach_each_other, a_container_shares_anothers_network,
            published_ports_lead_inside, a_taken_port_is_an_error, published_datagrams_find_back,
            much_passes_a_published_port, a_killed_monitor_leaves_no_device;
    };
    tests.extend(tests! { user_namespaces =>
        rootless: runs_and_isolates, lives_and_ends, passes_input, keeps_volumes, copies_and_commits, publishes_ports,
            a_killed_monitor_is_told, a_monitor_killed_at_any_time_leaves_nothing, what_cannot_be_says_the_way_out;
    });
    let with = |name, body: fn()| Test::new(name, body).needs(need::root).needs(need::path("/bin/busybox"));
    tests.push(
        with("run::devices_are_opened_when_given", run::devices_are_opened_when_given).needs(need::path("/dev/fuse")),
    );
    tests.push(with("run::devices_have_rates", run::devices_have_rates).needs(disk));
    tests.push(with("network::the_bridge_masquerades", network::the_bridge_masquerades).needs(need::program("nft")));
    let granted =
        with("rootless::granted_ids_are_users_of_the_container", rootless::granted_ids_are_users_of_the_container);
    tests.push(granted.needs(need::program("newuidmap")).needs(need::program("setpriv")));
    let podman = with("run::the_policy_of_podman_is_understood", run::the_policy_of_podman_is_understood);
    tests.push(podman.needs(need::path("/usr/share/containers/seccomp.json")));
    let python = [
        ("pack::python_runs_with_its_library", pack::python_runs_with_its_library as fn()),
        ("pack::certificates_come_when_asked", pack::certificates_come_when_asked),
    ];
    for (name, body) in python {
        let test = Test::new(name, body).needs(need::root).needs(need::path("/usr/lib/python3.11"));
        tests.push(test.needs(need::path("/etc/ssl/certs/ca-certificates.crt")));
    }
    tests.push(Test::new(
        "pack::scripts_are_refused_by_their_first_line",
        pack::scripts_are_refused_by_their_first_line,
    ));
    let database = "pack::a_database_outlives_its_container_and_its_image";
    let database = Test::new(database, pack::a_database_outlives_its_container_and_its_image).needs(need::root);
    let database = database.needs(need::path("/usr/sbin/mariadbd")).needs(need::program("mariadb-install-db"));
    tests.push(database.needs(need::program("mariadb")).needs(need::program("skopeo")));
    let peers = [
        ("build::buildah_makes_the_same", build::buildah_makes_the_same as fn()),
        ("build::commands_are_isolated", build::commands_are_isolated),
        ("images::inspect_is_json_of_all_kinds", images::inspect_is_json_of_all_kinds),
        ("images::podman_loads_and_saves", images::podman_loads_and_saves),
        ("images::flatten_keeps_every_file", images::flatten_keeps_every_file),
        ("images::rebase_changes_what_lies_below", images::rebase_changes_what_lies_below),
    ];
    for (name, body) in peers {
        let test = with(name, body).needs(need::program("skopeo")).needs(need::program("umoci"));
        tests.push(test.needs(need::program("podman")));
    }
    let registries = [
        ("registry::images_go_there_and_back", registry::images_go_there_and_back as fn()),
        ("registry::what_is_missing_is_fetched", registry::what_is_missing_is_fetched),
    ];
    for (name, body) in registries {
        tests.push(with(name, body).needs(need::program("docker-registry")));
    }
    tests.push(Test::new("run::info_tells_every_area", run::info_tells_every_area));
    // The longest begins first.
    tests.insert(0, trial::as_user(&[("WINDLASS", env!("CARGO_BIN_EXE_windlass"))]));
    trial::several(tests)
}
