"""The part `fleet` of `bench`: what the daemons of thousands of nodes cost one API server. A simulation under a virtual clock.

Of the daemon it runs the code that decides when to list, watch, resume and wait (koordnri.kube: `Rounds`, the kinds' watches and
`NodeAnnotation`). A model takes the place of sockets, threads and the API server.
"""
