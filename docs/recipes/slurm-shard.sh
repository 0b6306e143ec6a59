#!/bin/bash
# A shard of a tileloom plan as a task of a Slurm array:
#   sbatch --requeue --array=0-99 slurm-shard.sh plan.json
# Failures worth another attempt (a full or vanished disk, a server that does not answer) put the task back into the queue, three times.
tileloom run "$1" --quiet
code=$?
if [ $code -eq 75 ] && [ "${SLURM_RESTART_COUNT:-0}" -lt 3 ]; then
    scontrol requeue "${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}"
fi
exit $code
