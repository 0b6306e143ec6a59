"""The shards of a tileloom plan on a Dask cluster: python dask_shards.py tcp://SCHEDULER:8786 plan.json"""

import json
import subprocess
import sys

from distributed import Client, as_completed


def run_shard(plan, shard):
    """One shard in a process of its own; Dask tries again when it fails."""
    subprocess.run(["tileloom", "run", plan, "--shard", str(shard), "--quiet"], check=True, stdout=subprocess.DEVNULL)
    return shard


def main(scheduler, plan):
    with open(plan) as file:
        shards = range(len(json.load(file)["shards"]))
    with Client(scheduler) as client:
        # `pure=False`: what a shard leaves is in a folder, not in its result.
        tasks = [client.submit(run_shard, plan, n, retries=3, pure=False, key=f"shard-{n}") for n in shards]
        for task in as_completed(tasks):
            print("shard", task.result(), flush=True)
    subprocess.run(["tileloom", "merge", plan], check=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
