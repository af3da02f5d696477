"""The control plane of fleetgate: kube ▸ resources ▸ translate ▸ publish, and the `fleetgate` command.

system       processes, CPUs, files of the machine     resources    typed views of Kubernetes objects
kube         all that talks to an API server           sources      the Fleet, member clusters, host names
translate    objects to a snapshot; pure               checks       active health checks
publish      snapshots to workers, and back            supervisor   worker processes
observe      the state of shares and failovers         report       statuses and Events for the Fleet
admin        the admin API, metrics                    proposal     the effects of changed manifests
gateway      puts these packages together              files, cli   manifests; the command
embedded     a small API server for demo and tests
"""
