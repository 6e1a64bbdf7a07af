"""Whether the CPUs in a container's environment (koordnri.cpus.dra) are believed: what trusted DRA drivers gave to its pod's claims.

Whoever writes a pod also writes its environment, and CPUs named there leave everybody's share pools. Anybody may make a claim, of any
driver. So the claims must have devices of a listed driver, and no fewer of them than the environment names CPUs.
"""

from __future__ import annotations

from koordnri.model.cpuset import CPUSet
from koordnri.model.pod import Pod, PodSpec
from koordnri.model.verdict import Outcome, Verdict
from koordnri.policy.trust_options import TrustOptions

RULE = "draDrivers"
_MOST_NAMED = 4


def claimed_cpus(pod: Pod, cpus: CPUSet, trust: TrustOptions) -> Verdict:
    """The verdict about CPUs in the environment of the pod's containers. `unknown`: its spec or claims are not known (yet)."""
    outcome, why = _judged(pod, cpus, trust)
    if trust.mode == "observe" and outcome != "believed":
        outcome = "observed"
    return Verdict(RULE, "environment DRA_CPUSET_*", outcome, why)


def _judged(pod: Pod, cpus: CPUSet, trust: TrustOptions) -> tuple[Outcome, str]:
    if trust.mode == "off":
        return "believed", "trust.mode is off"
    if pod.is_static:
        return "believed", "it is a static pod: root of the node wrote it"
    return _by_claims(pod.spec, cpus, trust)


def _by_claims(spec: PodSpec | None, cpus: CPUSet, trust: TrustOptions) -> tuple[Outcome, str]:
    if spec is not None and not spec.resource_claims:
        return "refused", "the pod has no resourceClaims by which a DRA driver could have given it CPUs"
    if spec is None or (spec.claimed_cpus is None and not spec.claims_problem):
        what = "spec is" if spec is None else "claims are"
        if trust.without_spec == "believe":
            return "believed", f"the pod's {what} not known (trust.withoutSpec: believe)"
        return "unknown", f"the pod's {what} not known (trust.withoutSpec: refuse)"
    if spec.claimed_cpus is None:
        return "refused", f"the pod's claims cannot be read: {spec.claims_problem[:200]}"
    given = sum(spec.claimed_cpus.get(driver, 0) for driver in trust.dra_drivers)
    listed = " or ".join(trust.dra_drivers[:_MOST_NAMED]) or "nobody"
    if not given:
        has = ", ".join(list(spec.claimed_cpus)[:_MOST_NAMED])[:120] or "none"
        return (
            "refused",
            f"expected claims with devices of {listed} (koordnri-config.trust.draDrivers), the pod has {has}",
        )
    if len(cpus) > given:
        return "refused", f"it names {len(cpus)} CPUs ({str(cpus)[:60]}), and {listed} gave the pod's claims {given}"
    return "believed", f"{listed}, listed in trust.draDrivers, gave the pod's claims {given} CPUs"
