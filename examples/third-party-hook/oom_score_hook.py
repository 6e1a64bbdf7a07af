"""The pod annotation `oom.example.com/score`: whom the kernel kills first, from -1000 (never) to 1000."""

from koordnri.hook import AnnotationError, ContainerContext, Hook, fields

KEY = "oom.example.com/score"


class OOMScore(Hook):
    name = "oom_score"
    order = 100
    owns = (fields.OOM_SCORE_ADJ,)

    def decide(self, ctx: ContainerContext) -> None:
        text = ctx.pod.annotations.get(KEY)
        if text is None:
            return
        if not text.removeprefix("-").isdecimal() or abs(int(text)) > 1000:
            raise AnnotationError(KEY, f"expected a whole number from -1000 to 1000, got {text[:20]!r}")
        lowest = ctx.policy.hook_options(self.name).get("lowest", 0)
        ctx.set(fields.OOM_SCORE_ADJ, max(int(text), lowest), f"{KEY}, not below the policy's lowest ({lowest})")
