"""Which node a pod may and should run on: pure rules over what a scheduler knows of nodes, pods and volumes.

No store, clock or client here: the controller in `berth.rehearsal.controllers.scheduler` feeds these rules and writes
what they decide. The rules, their order and every text are those of kube-scheduler's default profile.
"""
