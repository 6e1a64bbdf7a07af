"""Hook gpu: GPUs by env, HAMi-core. `v30` in a test's name is row 30 of Koordinator's own vectors (koordinator.md 11)."""

import json

import pytest
from koordnri_hooks.gpu import GPU

from koordnri.model import AnnotationError, Event, Mount
from tests.hooks.one_hook import context, faults, run, values
from tests.support.pods import pod
from tests.support.policies import policy_of

KEY = "scheduling.koordinator.sh/device-allocated"
HAMI = {"koordinator.sh/gpu-isolation-provider": "HAMi-core"}
CORE, MEMORY, RATIO = "koordinator.sh/gpu-core", "koordinator.sh/gpu-memory", "koordinator.sh/gpu-memory-ratio"
LIBRARY = "/usr/local/vgpu/libvgpu.so"
HALF = {RATIO: "50", MEMORY: "8Gi", CORE: 40}


def gpu(minor=0, resources=None):
    return {"minor": minor, "resources": resources or {}}


def with_gpus(*gpus, labels=None):
    return pod("LS", annotations={KEY: {"gpu": list(gpus)}}, labels=labels)


@pytest.mark.parametrize(
    ("minors", "expected"), [pytest.param((0, 1), "0,1", id="v30"), ((3,), "3"), ((7, 0, 2), "7,0,2")]
)
def test_every_container_sees_the_pods_gpus_in_their_order(minors, expected):
    one = with_gpus(*map(gpu, minors))
    for name in ("main", "side"):
        assert values(run(GPU(), context(one, name=name))) == {"env[NVIDIA_VISIBLE_DEVICES]": expected}


@pytest.mark.parametrize(
    "annotations",
    [
        pytest.param({KEY: {"fpga": [{"minor": 0, "resources": {"koordinator.sh/fpga": "100"}}]}}, id="v31-only-fpga"),
        pytest.param({KEY: {"gpu": []}}, id="v31-empty-list"),
        pytest.param({}, id="v31-no-annotation"),
        pytest.param({KEY: "{}"}, id="empty"),
    ],
)
def test_without_gpus_nothing_is_set(annotations):
    decision = run(GPU(), context(pod("LS", annotations=annotations, labels=HAMI)))
    assert (decision.settings, decision.skipped, decision.errors) == ({}, {}, ())


@pytest.mark.parametrize(
    ("resources", "labels"),
    [
        pytest.param({RATIO: "100"}, HAMI, id="v33-whole-GPU"),
        pytest.param(HALF, {}, id="no-isolation-asked-for"),
        pytest.param(HALF, {"koordinator.sh/gpu-isolation-provider": "other"}, id="another-provider"),
    ],
)
def test_only_HAMi_and_less_than_a_whole_gpu_is_isolated(resources, labels):
    decision = run(GPU(), context(with_gpus(gpu(0, resources), labels=labels)))
    assert values(decision) == {"env[NVIDIA_VISIBLE_DEVICES]": "0"}
    assert decision.errors == ()


ISOLATED = {
    "env[NVIDIA_VISIBLE_DEVICES]": "1",
    "env[CUDA_DEVICE_MEMORY_LIMIT]": str(8 << 30),
    "env[CUDA_DEVICE_SM_LIMIT]": "40",
    "env[LD_PRELOAD]": LIBRARY,
    f"mount[{LIBRARY}]": Mount(LIBRARY, "bind", ("rbind", "ro")),
    "mount[/tmp/vgpulock]": Mount("/tmp/vgpulock", "bind", ("rbind",)),
}


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        pytest.param(HALF, ISOLATED, id="memory-and-cores"),
        pytest.param(HALF | {RATIO: "99.5"}, ISOLATED, id="a-little-less-than-whole"),
        pytest.param(
            {RATIO: 50, MEMORY: 1000},
            {k: v for k, v in ISOLATED.items() if "SM_LIMIT" not in k} | {"env[CUDA_DEVICE_MEMORY_LIMIT]": "1000"},
            id="no-cores-asked-and-numbers",
        ),
    ],
)
def test_a_share_is_enforced_by_HAMi(resources, expected):
    one = with_gpus(gpu(1, resources), labels=HAMI)
    for _ in range(2):
        assert values(run(GPU(), context(one))) == expected


def test_paths_of_HAMi_come_from_the_policy():
    options = {"hamiLibraryPath": "/opt/lib.so", "hamiLockPath": "/run/vgpu"}
    decision = run(
        GPU(),
        context(with_gpus(gpu(0, HALF), labels=HAMI), policy=policy_of(koordnri_config={"hooks": {"gpu": options}})),
    )
    got = values(decision)
    assert got["env[LD_PRELOAD]"] == "/opt/lib.so"
    assert {k: v.source for k, v in got.items() if k.startswith("mount")} == {
        "mount[/opt/lib.so]": "/opt/lib.so",
        "mount[/run/vgpu]": "/run/vgpu",
    }


def test_the_monitors_cache_is_not_promised():
    policy = policy_of(koordnri_config={"hooks": {"gpu": {"hamiCacheDirectory": "/var/cache/vgpu"}}})
    decision = run(GPU(), context(with_gpus(gpu(0, HALF), labels=HAMI), policy=policy))
    assert "not made by this version" in decision.skipped["env[CUDA_DEVICE_MEMORY_SHARED_CACHE]"]


@pytest.mark.parametrize(
    ("resources", "problem"),
    [
        ({MEMORY: "8Gi"}, f'gpu[0].resources["{RATIO}"]: expected how many percent'),
        ({RATIO: "50"}, f'gpu[0].resources["{MEMORY}"]: expected the bytes'),
        ({RATIO: "half", MEMORY: "8Gi"}, f'gpu[0].resources["{RATIO}"]: expected a quantity'),
        ({RATIO: "50", MEMORY: "8 GiB"}, f'gpu[0].resources["{MEMORY}"]: expected a quantity'),
        ({RATIO: "50", MEMORY: "-1"}, f'gpu[0].resources["{MEMORY}"]: expected at least 0, got "-1"'),
        ({RATIO: "-50", MEMORY: "8Gi"}, f'gpu[0].resources["{RATIO}"]: expected at least 0, got "-50"'),
        ({RATIO: "50", MEMORY: "8Gi", CORE: "x"}, f'gpu[0].resources["{CORE}"]: expected a quantity'),
    ],
)
def test_a_bad_share_costs_the_share_and_not_which_gpus_are_seen(resources, problem):
    decision = run(GPU(), context(with_gpus(gpu(2, resources), labels=HAMI)))
    assert values(decision) == {"env[NVIDIA_VISIBLE_DEVICES]": "2"}
    [(fault, message)] = faults(decision)
    assert fault == "pod"
    assert message.startswith(f"annotation {KEY}: {problem}")


@pytest.mark.parametrize(
    ("annotation", "problem"),
    [
        ('{"gpu":[{"minor":0}', "broken JSON, line 1 column 20"),
        ({"gpu": [{"minor": "0"}]}, "minor"),
        ({"gpu": [{"id": "GPU-1"}]}, "minor"),
        ('{"gpu":[{"minor":%s}]}' % ("9" * 5000), "out of range"),
        ({"gpu": [gpu(True)]}, "minor"),
        ({"gpu": [{"minor": None}]}, "minor"),
        ('{"gpu":[{"minor":0,"x":' + "[" * 16_000, "recursion"),
        ({"gpu": [gpu(0)] * 20_000}, "expected at most 16384 characters"),
        ({"gpu": {"minor": 0}}, "Expected `array`, got `object`"),
    ],
)
def test_a_bad_annotation_is_the_pods_fault(annotation, problem):
    ctx = context(pod("LS", annotations={KEY: annotation}))
    with pytest.raises(AnnotationError) as caught:
        run(GPU(), ctx)
    assert caught.value.key == KEY
    assert problem in str(caught.value)
    assert ctx.settings == {}


@pytest.mark.parametrize(
    ("gpus", "problem"),
    [
        ([gpu(0), gpu(-1)], "gpu[1].minor: expected at least 0, got -1"),
        ([gpu(0), gpu(1 << 20)], "gpu[1].minor: expected at most 1048575, got 1048576"),
        ([gpu(0), gpu(-(2**63))], "gpu[1].minor: expected at least 0, got -9223372036854775808"),
        ([gpu(10**4000)], f"gpu[0].minor: expected at most 1048575, got 1{'0' * 23}"),
        ([{"minor": i} for i in range(257)], "gpu: expected at most 256 devices, got 257"),
        ([{"minor": 0}] * 1100, "gpu: expected at most 256 devices, got 1100"),
    ],
)
def test_impossible_devices_cost_all_gpus_and_are_reported(gpus, problem):
    decision = run(GPU(), context(pod("LS", annotations={KEY: json.dumps({"gpu": gpus}, separators=(",", ":"))})))
    assert decision.settings == {}
    assert faults(decision) == [("pod", f"annotation {KEY}: {problem}")]


def test_a_device_that_is_named_twice_counts_once():
    assert values(run(GPU(), context(with_gpus(gpu(3), gpu(1), gpu(3))))) == {"env[NVIDIA_VISIBLE_DEVICES]": "3,1"}


UUIDS = ("GPU-4cf8db2d-06c0-7d70-1a51-e59b25b2c16c", "MIG-c3b1e2a0-0000-4000-8000-000000000001")
BY_UUID = policy_of(koordnri_config={"hooks": {"gpu": {"identify": "uuid"}}})


def test_the_policy_may_name_gpus_by_uuid():
    one = with_gpus(*({"minor": i, "id": uuid} for i, uuid in enumerate(UUIDS)))
    assert values(run(GPU(), context(one, policy=BY_UUID))) == {"env[NVIDIA_VISIBLE_DEVICES]": ",".join(UUIDS)}


@pytest.mark.parametrize(
    "uuid",
    ["", "all", "none", "void", "0", "7", "00000000", "0,1", f"{UUIDS[0]},{UUIDS[1]}", "GPU-a b c d 1", "GPU-1\n22222",
     "GPU-\u0661\u0662\u0663\u0664\u0665", "a1" * 65, "allallall", "-GPU-12345"],
)  # fmt: skip
def test_nothing_but_one_uuid_counts_as_one(uuid):
    """The pod's owner may have written it, and `all` or a list would widen what the container sees."""
    one = with_gpus({"minor": 0, "id": UUIDS[0]}, {"minor": 1, "id": uuid})
    decision = run(GPU(), context(one, policy=BY_UUID))
    assert decision.settings == {}
    [(fault, message)] = faults(decision)
    assert fault == "pod"
    assert message.startswith(f"annotation {KEY}: gpu[1].id: expected the UUID of one device")


@pytest.mark.parametrize("event", [Event.UPDATE, Event.SYNC])
def test_a_running_containers_environment_cannot_change(event):
    decision = run(GPU(), context(with_gpus(gpu(0)), event=event))
    assert decision.settings == {}
    assert "restart the pod" in decision.skipped["env[NVIDIA_VISIBLE_DEVICES]"]
