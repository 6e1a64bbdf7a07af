"""What `koordnri verify` says where it may not create, read or delete pods, or has no namespace for them."""

from __future__ import annotations

import re

import click

from koordnri.kube import ApiRefused, PodCalls

NAMESPACE = "koordnri-verify"
"""that deploy/verify and the chart create"""
_SHIPPED = "the chart's apiAccess.verify=true, or the component deploy/verify"
_WHO = re.compile(r'User "([^"]+)" cannot ')
_ACCOUNT = re.compile(r"system:serviceaccount:([^:]+):([^:]+)")
_ROLE = """apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {{name: koordnri-verify, namespace: {namespace}}}
rules:
  - {{apiGroups: [""], resources: [pods], verbs: [create, get, delete]}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{name: koordnri-verify, namespace: {namespace}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: koordnri-verify}}
subjects:
  - {subject}
"""


class VerifyError(click.ClickException):
    """The pods cannot be created at all. The message says what to do."""

    exit_code = 2


def check_rights(calls: PodCalls, namespace: str, name: str) -> None:
    """Ask for a pod that is not there, and delete it: without these rights no pod may be created. Raises VerifyError, KubeError."""
    try:
        calls.progress(name)
        calls.delete(name)
    except ApiRefused as refused:
        raise _missing(refused, namespace) from None


def refused_create(refused: ApiRefused, namespace: str) -> str:
    """Why the API server refuses this pod. Raises VerifyError when it would refuse any pod."""
    if refused.status == 404:
        raise VerifyError(
            f"namespace {namespace} does not exist: it comes with {_SHIPPED}; or create it, or name another one (--namespace)"
        ) from None
    if refused.status == 401 or (refused.status == 403 and _WHO.search(refused.message)):
        raise _missing(refused, namespace) from None
    return f"the API server refuses it: {refused.message}"


def _missing(refused: ApiRefused, namespace: str) -> Exception:
    who = _WHO.search(refused.message)
    if refused.status != 403 or who is None:
        return refused
    account = _ACCOUNT.fullmatch(who[1])
    subject = (
        f"{{kind: ServiceAccount, name: {account[2]}, namespace: {account[1]}}}"
        if account
        else f'{{kind: User, name: "{who[1]}", apiGroup: rbac.authorization.k8s.io}}'
    )
    shipped = f" ({_SHIPPED}, grants it in namespace {NAMESPACE})" if account else ""
    role = _ROLE.format(namespace=namespace, subject=subject)
    return VerifyError(f"{refused}\nkoordnri verify needs this right{shipped}:\n\n{role}")
