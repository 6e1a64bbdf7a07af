"""What pods ask by annotation to have put into their containers: one file per kind, as NRI's sample plugins do it.

Belongs here: what an annotation of one kind means, and which of its values a runtime would refuse. Does not belong here: keys, scopes and
their order (koordnri.model.injection), and whose annotations are believed (koordnri.policy.trust).
"""
