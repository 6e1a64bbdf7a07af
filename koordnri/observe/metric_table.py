"""Every metric of the daemon, one row each, by topic. `metrics.py` has the values.

`tools/metrics.py` makes docs/use/metrics.md, the alerts and the dashboard from it; `koordnri metrics` prints it.
"""

from __future__ import annotations

from koordnri.observe.metric import Alert, MetricRow, rises

BUILD = (
    MetricRow("koordnri_build_info", "gauge", ("version", "python"), "The version of koordnri, and of Python under it"),
    MetricRow(
        "koordnri_log_lines_lost",
        "counter",
        (),
        "Log lines dropped because nobody read them",
        meaning="Whoever collects the daemon's standard error is too slow.",
    ),
)

SESSION = (
    MetricRow(
        "koordnri_connected",
        "gauge",
        (),
        "1 when registered and synchronized",
        meaning="While it is 0, new containers start without QoS; `koordnri_connection_state` says in which state the session is. After "
        "30 s without the runtime the Node gets an Event (`RuntimeNotThere`) with the setting to change: [all Events](events.md).",
        alert=Alert(
            "KoordnriDisconnected",
            "koordnri_connected == 0",
            "5m",
            "critical",
            "koordnri is not connected to the container runtime: containers start without QoS",
        ),
    ),
    MetricRow(
        "koordnri_connection_state", "gauge", ("state",), "1 for the state that the session with the runtime is in"
    ),
    MetricRow("koordnri_registrations", "counter", (), "Registrations that the runtime accepted"),
    MetricRow(
        "koordnri_connections_lost",
        "counter",
        (),
        "Connections that ended without our asking",
        meaning="The runtime restarts, or disconnects koordnri (then `koordnri_registrations_total` rises, too). After three registrations "
        "in a row that end before Synchronize is done, koordnri waits 1, 5, then 15 minutes; the Node gets an Event "
        "(`RegistrationBraked`), `/readyz` has the reason.",
        alert=Alert(
            "KoordnriConnectionsLost",
            "increase(koordnri_connections_lost_total[1h]) > 3",
            "0m",
            "warning",
            "the connection to the container runtime was lost {{ $value | humanize }} times within an hour",
        ),
    ),
    MetricRow("koordnri_runtime_info", "gauge", ("name", "version", "nri"), "The runtime that we are registered with"),
    MetricRow(
        "koordnri_events",
        "counter",
        ("event", "outcome"),
        "Requests of the runtime by outcome: ok, late (answered incomplete), refused, undecodable, error",
    ),
    MetricRow(
        "koordnri_containers_never_started",
        "counter",
        (),
        "Containers whose creation was answered and that were removed before they had started",
        meaning="Containers were removed between koordnri's reply to their creation and their start: another plugin's conflict, a refusal "
        "of the OCI runtime, or a deleted pod. The log names them (`container_never_started`), the runtime's log says why.",
        alert=Alert(
            "KoordnriContainersNeverStarted",
            "increase(koordnri_containers_never_started_total[15m]) > 3",
            "0m",
            "warning",
            "{{ $value | humanize }} containers were removed before they had started",
        ),
    ),
)

DECISIONS = (
    MetricRow(
        "koordnri_chain_overruns",
        "counter",
        (),
        "Events answered incomplete because the hooks' budget was used up",
        meaning="Containers got incomplete decisions for lack of time; `koordnri_hook_duration_seconds` shows the slow hook.",
        alert=Alert(
            "KoordnriChainOverruns",
            "increase(koordnri_chain_overruns_total[15m]) > 0",
            "0m",
            "warning",
            "containers got incomplete decisions because the hooks took too long",
        ),
    ),
    MetricRow(
        "koordnri_hook_duration_seconds", "histogram", ("hook",), "Time of one hook for one container", unit="seconds"
    ),
    MetricRow(
        "koordnri_hook_errors",
        "counter",
        ("hook", "fault"),
        "Hooks that could not decide, by whose fault: pod, policy, node, bug, late",
        meaning="By `fault`: an annotation (`pod`, which has an Event and no alert), the policy, the node, or a bug in koordnri.",
        alert=Alert(
            "KoordnriHookErrors",
            rises('koordnri_hook_errors_total{fault!="pod"}', "15m"),
            "0m",
            "warning",
            "hook {{ $labels.hook }} could not decide, by fault of: {{ $labels.fault }}",
        ),
    ),
    MetricRow("koordnri_decided_fields", "counter", ("hook", "field", "route"), "Fields decided, by route"),
    MetricRow(
        "koordnri_trust_refusals",
        "counter",
        ("rule", "outcome"),
        "Pods with an input that the policy's trust rules do not believe: refused, unknown (the pod's spec is), or only observed",
        meaning="Pods ask for what the policy gives to others only. They have the Event `NotEntitled`, the log says `not_entitled`. "
        "Many `unknown`: koordnri has no access to the API server, and Koordinator's pods need `trust.withoutSpec: believe`.",
    ),
    MetricRow("koordnri_pods", "gauge", (), "Pods that the runtime has reported"),
    MetricRow("koordnri_containers", "gauge", (), "Containers in the ledger"),
    MetricRow(
        "koordnri_released_pods",
        "gauge",
        (),
        "Pods that `koordnri release` gave back to kubelet, until the daemon restarts",
        meaning="These pods are without QoS; `koordnri status` names them.",
        alert=Alert(
            "KoordnriReleasedPods",
            "koordnri_released_pods > 0",
            "1h",
            "info",
            "{{ $value }} pods have been without QoS for an hour since `koordnri release`",
        ),
    ),
)

CPUS = (
    MetricRow(
        "koordnri_cpus",
        "gauge",
        ("kind",),
        "CPUs that one container has alone (exclusive), and those of the share pool, or all that pods may use (shared)",
    ),
    MetricRow(
        "koordnri_share_pool_empty",
        "gauge",
        ("pool",),
        "1 while a share pool (ls, be) has no CPU left and uses taken ones",
        meaning="It is the violation `SharePoolEmpty`, too.",
    ),
    MetricRow(
        "koordnri_exclusive_cpus_late",
        "counter",
        (),
        "Containers that started before all others had left their CPUs",
        meaning="They shared their CPUs for the first moments.",
    ),
    MetricRow(
        "koordnri_throttled_seconds",
        "counter",
        ("qos",),
        "Time that threads of a class were held back because a CPU quota was used up, summed over the CPUs",
        unit="seconds",
        meaning="Read at a scrape, at most every 30 s. For LS pods, raise the limit or allow bursts (`cpuBurst`); for BE pods it is what "
        "their quota is for. What a pod gains between the last reading and its end is not counted.",
    ),
    MetricRow(
        "koordnri_waiting_seconds",
        "counter",
        ("qos",),
        "Time in which at least one thread of a pod was ready to run and had no CPU, summed over the pods of a class",
        unit="seconds",
        meaning="`some total` of the pods' `cpu.pressure` (PSI), read at the same time; throttled threads wait, too. "
        "No value on a kernel without PSI. `koordnri top` shows which pods wait.",
    ),
    MetricRow(
        "koordnri_violations",
        "gauge",
        ("kind",),
        "What should not be though nothing failed outright, by kind; koordnri status names each",
        meaning="By `kind`: `koordnri status` names each, [its page](status.md) says what to do.",
        alert=Alert(
            "KoordnriViolations",
            "koordnri_violations > 0",
            "10m",
            "warning",
            "{{ $value }} violations of kind {{ $labels.kind }}; koordnri status names each",
        ),
    ),
)

CONTROLLERS = (
    MetricRow(
        "koordnri_controller_ticks",
        "counter",
        (),
        "Times that the node was measured for feedback controllers; none while the policy switches all of them off",
    ),
    MetricRow(
        "koordnri_controller_tick_seconds",
        "counter",
        (),
        "Duration of all ticks",
        unit="seconds",
        meaning="Divided by the ticks: how long one takes. It waits while the runtime asks for containers.",
    ),
    MetricRow(
        "koordnri_controller_actuations",
        "counter",
        ("controller", "mode", "direction"),
        "Values that a controller moved (mode observe: would have moved) up, down, or to other CPUs (moved)",
        meaning="[Batch beside services](batch.md#cpu-suppress) says what moves. Each change is in the history, and in the log as "
        "`controller_acted` or `controller_would_act`.",
    ),
    MetricRow(
        "koordnri_noisy_neighbour",
        "counter",
        ("resource", "kind"),
        "Pods that waited for cpu, memory or io beyond their class' target, by why: throttled (its own quota), stolen (by the "
        "hypervisor), itself, or neighbour",
        meaning="[Who makes this pod wait?](neighbours.md) Each pod counts once in 5 minutes for each resource. `koordnri status` and the "
        "log line `pod_waits` have the names, and for `neighbour` the pod has an Event.",
    ),
    MetricRow(
        "koordnri_suppressed_cpus",
        "gauge",
        (),
        "CPUs that best-effort work may not use now, as services need them (CPU suppress)",
    ),
)

EVICTION = (
    MetricRow(
        "koordnri_evictions",
        "counter",
        ("feature", "outcome"),
        "Pods chosen for eviction, by what chose them and by what came of it: evicted, budget (a PodDisruptionBudget forbids it), "
        "gone, replaced, forbidden (koordnri has not the right), refused, unreachable, withdrawn (its request had to wait, and was not "
        "sent), or observed (mode observe: they stay)",
        meaning="[Eviction](evict.md) says what each feature is for. With `forbidden`, set `apiAccess.evictPods` in the chart; with "
        "`budget` or `refused` others are evicted in the meantime, and this pod is tried again.",
        alert=Alert(
            "KoordnriEvictionForbidden",
            rises('koordnri_evictions_total{outcome="forbidden"}', "15m"),
            "0m",
            "warning",
            "the policy asks for eviction, and koordnri has not the right to evict pods",
        ),
    ),
)

POLICY = (
    MetricRow(
        "koordnri_policy_info",
        "gauge",
        ("revision",),
        "The policy that is in force",
        meaning="The number of nodes per revision shows how far a change has spread.",
    ),
    MetricRow(
        "koordnri_policy_good",
        "gauge",
        (),
        "0 while the newest policy document is refused",
        meaning="While it is 0, the last good policy is in force. `koordnri status` and the Event `PolicyRefused` have the mistake.",
        alert=Alert(
            "KoordnriPolicyRefused",
            "koordnri_policy_good == 0",
            "5m",
            "warning",
            "the newest policy is refused, so the one before stays in force",
        ),
    ),
    MetricRow(
        "koordnri_policy_warnings",
        "gauge",
        (),
        "Parts of the policy in force that have no effect, or may not be meant",
        meaning="`koordnri status` has them.",
    ),
    MetricRow("koordnri_policy_accepted", "counter", (), "Policy documents taken"),
    MetricRow("koordnri_policy_refused", "counter", (), "Policy documents refused"),
)

RECONCILE = (
    MetricRow(
        "koordnri_reconcile_passes",
        "counter",
        ("trigger",),
        "Passes over pods by trigger: change, control, pod, drift, sweep",
    ),
    MetricRow("koordnri_reconcile_pass_seconds", "gauge", (), "Duration of the last pass", unit="seconds"),
    MetricRow(
        "koordnri_change_to_verified_seconds",
        "gauge",
        (),
        "From the last change of policy or node to the last file read back",
        unit="seconds",
        meaning="Above a few seconds, running containers follow a changed policy slowly.",
        alert=Alert(
            "KoordnriSlowChanges",
            "koordnri_change_to_verified_seconds > 10",
            "5m",
            "warning",
            "running containers took {{ $value | humanizeDuration }} to follow the last change",
        ),
    ),
    MetricRow(
        "koordnri_writes",
        "counter",
        ("field", "outcome"),
        "Cgroup files that did not have the decided value, by what came of writing it",
        meaning="With an `outcome` other than `written`, the kernel or somebody else keeps koordnri from setting cgroup files; the log "
        "names them.",
    ),
    MetricRow(
        "koordnri_apply_failures",
        "counter",
        ("field", "route", "reason"),
        "Times that a decided value could not be brought about, by field, route and what came of it",
        meaning="The kernel or somebody else keeps koordnri from setting a value. The pod has an Event (`QoSNotApplied`).",
        alert=Alert(
            "KoordnriApplyFailures",
            rises("koordnri_apply_failures_total", "15m"),
            "15m",
            "warning",
            "{{ $labels.field }} cannot be set by {{ $labels.route }}: {{ $labels.reason }}",
        ),
    ),
    MetricRow(
        "koordnri_contained_faults",
        "counter",
        ("where",),
        "Bugs of ours that cost what they were in and no more: plan, write, settle, classes, resctrl, record, drift, cpus, network, "
        "reconcile, node, pod, policy, state, metrics",
        meaning="A bug in koordnri, which cost only what `where` names (a pod's pass, a metric, …). The log has the traceback "
        "(`contained_fault`), the pod or the Node gets an Event `KoordnriFault`: please report it.",
        alert=Alert(
            "KoordnriBug",
            rises("koordnri_contained_faults_total", "1h"),
            "0m",
            "warning",
            "a bug in koordnri, contained in: {{ $labels.where }}; the log has the traceback",
        ),
    ),
)

DRIFT = (
    MetricRow(
        "koordnri_drift_healed",
        "counter",
        ("field", "by"),
        "Files that lost their decided value and got it back, by who writes such a value: systemd, kubelet, runtime, unknown",
        meaning="When it keeps rising, somebody else writes the same `field`. `by` names who writes such a value (`systemd`, `kubelet` or "
        "`runtime`, if it is one that they know; else `unknown`), the log line `drift_healed` names the file.",
        alert=Alert(
            "KoordnriDriftReturns",
            "increase(koordnri_drift_healed_total[10m]) > 10",
            "20m",
            "warning",
            "somebody else ({{ $labels.by }}) keeps writing {{ $labels.field }}",
        ),
    ),
    MetricRow("koordnri_cgroup_watches", "gauge", (), "Cgroup directories that are watched"),
    MetricRow(
        "koordnri_cgroup_watches_refused",
        "gauge",
        (),
        "Cgroup directories that the kernel does not watch for us; sweeps look there every 10 s",
        meaning="Foreign writes there are found only every 10 s: raise `fs.inotify.max_user_watches`.",
        alert=Alert(
            "KoordnriWatchesRefused",
            "koordnri_cgroup_watches_refused > 0",
            "10m",
            "info",
            "{{ $value }} cgroups cannot be watched: raise fs.inotify.max_user_watches",
        ),
    ),
    MetricRow(
        "koordnri_cgroup_watch_overflows",
        "counter",
        (),
        "Times that the kernel dropped reports of written files, which a sweep answers",
    ),
)

RECORDS = (
    MetricRow(
        "koordnri_pushes",
        "counter",
        ("route", "outcome"),
        "Containers whose written values were to be recorded through the runtime: recorded, refused, failed, late",
    ),
    MetricRow("koordnri_record_route_info", "gauge", ("route",), "The route by which is recorded now"),
    MetricRow("koordnri_record_routes_off", "gauge", (), "Routes turned off because a push overran"),
    MetricRow(
        "koordnri_unrecorded_containers",
        "gauge",
        (),
        "Containers with values that are written, but not recorded in the runtime's stored spec",
        meaning="When it stays above 0, the runtime may undo written values when it updates the container. `koordnri_pushes_total` says "
        "by `route` and `outcome` what came of recording, `koordnri_record_routes_off` counts the routes that were turned off.",
        alert=Alert(
            "KoordnriUnrecorded",
            "koordnri_unrecorded_containers > 0",
            "30m",
            "warning",
            "{{ $value }} containers have values that are not recorded in the runtime's stored spec",
        ),
    ),
)

RESCTRL = (
    MetricRow(
        "koordnri_resctrl_read_only",
        "gauge",
        ("reason",),
        "Why no group can be made and no thread moved: 1 by that reason",
        meaning="Where a policy enables resctrl: the daemon can neither create groups nor move threads; `reason` says which right is "
        "missing.",
    ),
    MetricRow("koordnri_resctrl_groups", "gauge", (), "Resctrl groups of ours that exist"),
    MetricRow(
        "koordnri_resctrl_groups_refused",
        "gauge",
        (),
        "Resctrl groups that are wanted and could not be made",
        meaning="No class of service is left, or the kernel refuses; see the log.",
        alert=Alert(
            "KoordnriResctrlGroupsRefused",
            "koordnri_resctrl_groups_refused > 0",
            "10m",
            "warning",
            "{{ $value }} resctrl groups could not be made",
        ),
    ),
    MetricRow(
        "koordnri_resctrl_actions",
        "counter",
        ("action", "outcome"),
        "What was done to resctrl groups: made, schemata, removed, emptied; and what came of it",
    ),
    MetricRow(
        "koordnri_resctrl_drift_healed",
        "counter",
        (),
        "Schemata that somebody had changed",
        meaning="When it keeps rising, somebody else writes the schemata of koordnri's groups.",
        alert=Alert(
            "KoordnriResctrlDriftReturns",
            "increase(koordnri_resctrl_drift_healed_total[10m]) > 5",
            "20m",
            "warning",
            "somebody else keeps writing the schemata of koordnri's resctrl groups",
        ),
    ),
    MetricRow("koordnri_resctrl_threads_moved", "counter", (), "Threads moved into their group"),
    MetricRow(
        "koordnri_resctrl_threads_elsewhere",
        "gauge",
        (),
        "Threads not in their group after the last pass",
        meaning="When it stays above 0, the kernel refuses to move threads; see the log.",
        alert=Alert(
            "KoordnriResctrlThreadsElsewhere",
            "koordnri_resctrl_threads_elsewhere > 0",
            "10m",
            "warning",
            "{{ $value }} threads are not in their resctrl group",
        ),
    ),
    MetricRow(
        "koordnri_resctrl_starts", "counter", ("outcome",), "Containers at their start: placed, gone, missing, refused"
    ),
    MetricRow(
        "koordnri_resctrl_occupancy_bytes",
        "gauge",
        ("qos", "cache"),
        "Last-level cache in use by a class",
        unit="bytes",
    ),
    MetricRow(
        "koordnri_resctrl_memory_bytes",
        "counter",
        ("qos", "cache", "kind"),
        "Memory traffic of a class since we look",
        unit="bytes",
    ),
)

API_SERVER = (
    MetricRow(
        "koordnri_watch_restarts",
        "counter",
        ("noun", "reason"),
        "Watches of the API server begun again, by reason",
        meaning="When it rises fast, the API server is down, or refuses (`reason`): policy and pods stay as last seen.",
        alert=Alert(
            "KoordnriWatchRestarts",
            "increase(koordnri_watch_restarts_total[15m]) > 10",
            "0m",
            "warning",
            "the watch of {{ $labels.noun }} is begun again and again: {{ $labels.reason }}",
        ),
    ),
    MetricRow("koordnri_kube_events_posted", "counter", (), "Kubernetes Events that were to be sent"),
    MetricRow(
        "koordnri_kube_events_dropped",
        "counter",
        (),
        "Of these, the ones that were lost: too many waited, or the API server refused or did not answer",
        meaning="Events about pods or the Node were lost: the API server refuses them or does not answer, or more than 256 wait. The log "
        "line `kube_event_lost` says why the server refused.",
        alert=Alert(
            "KoordnriEventsLost",
            "increase(koordnri_kube_events_dropped_total[15m]) > 0",
            "0m",
            "info",
            "{{ $value | humanize }} Kubernetes Events were lost",
        ),
    ),
    MetricRow(
        "koordnri_kube_event_requests",
        "counter",
        (),
        "Requests for these that the API server accepted; one request carries all repetitions of an Event so far",
    ),
)

TOPICS = {
    "The connection to the runtime": SESSION,
    "Decisions": DECISIONS,
    "CPUs": CPUS,
    "Feedback controllers": CONTROLLERS,
    "Eviction": EVICTION,
    "The policy": POLICY,
    "Running containers": RECONCILE,
    "What others write": DRIFT,
    "The runtime's stored spec": RECORDS,
    "Cache and memory bandwidth": RESCTRL,
    "The API server": API_SERVER,
    "The daemon itself": BUILD,
}
"""heading → rows"""
TABLE = {row.name: row for rows in TOPICS.values() for row in rows}
"""name → row, of every metric"""
