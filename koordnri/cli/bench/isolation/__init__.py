"""The part `isolation` of `koordnri bench`: what the daemon's settings are worth to a service beside batch work.

A real runtime runs both in pods, the real daemon sets their values by a policy and annotations, and the service measures how long each of
its requests took. `designs` says what is compared, `rounds` runs it, `inside/` has the programs that run in the containers.
Belongs here: experiments with a real runtime. Does not belong here: values written by hand; each arm must prove the daemon.
"""
