"""The control plane of fleetgate: kube ▸ resources ▸ translate ▸ publish, and the `fleetgate` command.

system       what it asks of the operating system      resources    typed views of Kubernetes objects
kube         all that talks to an API server           sources      the Fleet, member clusters, host names
translate    objects to a snapshot; pure               checks       active health checks
publish      snapshots to workers, and back            supervisor   worker processes
observe      what is known of shares and failovers     report       what is written back to the Fleet
admin        the admin API, metrics                    proposal     what a change of manifests would do
gateway      puts all of it together                   files, cli   manifests; the command
embedded     a small API server for demo and tests
"""
