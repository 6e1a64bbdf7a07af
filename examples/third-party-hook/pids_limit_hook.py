"""The pod annotation `pids.example.com/limit`: how many processes and threads a container may have."""

from koordnri.hook import AnnotationError, ContainerContext, Hook, fields

KEY = "pids.example.com/limit"


class PidsLimit(Hook):
    name = "pids_limit"
    order = 100
    owns = (fields.PIDS_LIMIT,)

    def decide(self, ctx: ContainerContext) -> None:
        text = ctx.pod.annotations.get(KEY)
        if text is None:
            return
        if not (text.isascii() and text.isdecimal() and 0 < len(text) < 10):
            raise AnnotationError(KEY, f"expected a whole number, got {text[:20]!r}")
        most = ctx.policy.hook_options(self.name).get("most", 10_000)
        ctx.set(fields.PIDS_LIMIT, min(int(text), most), f"{KEY}, not above the policy's most ({most})")
